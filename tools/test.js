// npm test: installs what is missing, then hands over to TypeScript.
import { ROOT, install, run } from './setup.js'

install(ROOT)
process.exit(
  run(process.execPath, ['--import', import.meta.resolve('tsx'), 'tools/run-tests.ts', ...process.argv.slice(2)]),
)

// npm run test:scale: installs what is missing, then hands over to TypeScript.
import { ROOT, install, run } from './setup.js'

install(ROOT)
process.exit(
  run(process.execPath, ['--import', import.meta.resolve('tsx'), 'tools/scale/main.ts', ...process.argv.slice(2)]),
)

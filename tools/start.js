// npm start: installs what is missing, then hands over to TypeScript.
import path from 'node:path'
import { ROOT, install, run } from './setup.js'

install(ROOT)
install(path.join(ROOT, 'example'))
process.exit(
  run(process.execPath, ['--import', import.meta.resolve('tsx'), 'tools/run-example.ts', ...process.argv.slice(2)]),
)

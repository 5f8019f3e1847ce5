// npm start: installs what is missing, then hands over to TypeScript.
import path from 'node:path'
import { ROOT, install, runTypeScript } from './setup.js'

install(ROOT)
install(path.join(ROOT, 'example'))
process.exit(runTypeScript('run-example.ts'))

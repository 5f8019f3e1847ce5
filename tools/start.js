// npm start: installs what is missing, then hands over to TypeScript.
import path from 'node:path'
import { ROOT, install, runTypeScriptToItsEnd } from './setup.js'

install(ROOT)
install(path.join(ROOT, 'example'))
process.exit(await runTypeScriptToItsEnd('run-example.ts'))

// npm test: installs what is missing, then hands over to TypeScript.
import path from 'node:path'
import { ROOT, install, runTypeScript } from './setup.js'

install(ROOT)
// The type check covers the example, and needs the types of its dependencies.
install(path.join(ROOT, 'example'))
process.exit(runTypeScript('run-tests.ts'))

// npm run check: installs what is missing, then hands over to TypeScript.
import path from 'node:path'
import { ROOT, install, runTypeScript } from './setup.js'

install(ROOT)
// The type check covers the example, with the types of its libraries.
install(path.join(ROOT, 'example'))
process.exit(runTypeScript('run-checks.ts'))

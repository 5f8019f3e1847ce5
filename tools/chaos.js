// npm run chaos: installs what is missing, then hands over to TypeScript.
import { ROOT, install, runTypeScript } from './setup.js'

install(ROOT)
// This process has to stay until the other one has cleaned up: Ctrl-C reaches both.
process.on('SIGINT', () => undefined)
process.exit(runTypeScript('chaos/main.ts'))

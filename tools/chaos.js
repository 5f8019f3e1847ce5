// npm run chaos: installs what is missing, then hands over to TypeScript.
import { ROOT, install, runTypeScript } from './setup.js'

install(ROOT)
// Ctrl-C reaches both processes; this one must stay until the other has cleaned up.
process.on('SIGINT', () => undefined)
process.exit(runTypeScript('chaos/main.ts'))

// npm run test:scale: installs what is missing, then hands over to TypeScript.
import { ROOT, install, runTypeScript } from './setup.js'

install(ROOT)
process.exit(runTypeScript('scale/main.ts'))

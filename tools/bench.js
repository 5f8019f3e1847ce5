// npm run bench: installs what is missing, then hands over to TypeScript, in this process: so a signal reaches what has to clean up.
import path from 'node:path'
import { ROOT, install } from './setup.js'

install(ROOT)
install(path.join(ROOT, 'bench/peers'))
const { register } = await import('tsx/esm/api')
register()
await import('../bench/main.ts')

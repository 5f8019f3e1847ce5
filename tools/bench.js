// npm run bench: installs what is missing, then runs TypeScript in this process, so that a signal reaches the code that
// cleans up.
import path from 'node:path'
import { ROOT, install } from './setup.js'

install(ROOT)
install(path.join(ROOT, 'bench/peers'))
const { register } = await import('tsx/esm/api')
register()
await import('../bench/main.ts')

import path from 'node:path'
import { APP_VARIABLE } from './programs/server/variables'

/** How to start the stand-in: the tests of the package, or an app in a folder. */
export function standIn(app?: string): { command: string; args: string[]; env: NodeJS.ProcessEnv } {
  return {
    command: process.execPath,
    // Forked servers inherit this, as they inherit all flags of Node.
    args: ['--import', import.meta.resolve('tsx/esm'), path.join(import.meta.dirname, 'main.js')],
    env: {
      ROOT_URL: process.env.ROOT_URL ?? 'http://localhost:3000',
      ...(app === undefined ? {} : { [APP_VARIABLE]: app }),
    },
  }
}

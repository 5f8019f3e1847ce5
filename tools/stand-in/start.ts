import { bundle } from './bundle'

/** How to start the stand-in, with the tests of the package or with an app in a folder. */
export function standIn(app?: string): { command: string; args: string[]; env: NodeJS.ProcessEnv } {
  return {
    command: process.execPath,
    args: [bundle(app)],
    env: { ROOT_URL: process.env.ROOT_URL ?? 'http://localhost:3000' },
  }
}

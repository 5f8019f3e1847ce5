import { type ChildProcess, fork } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, isAbsolute, resolve } from 'node:path'
import { forkOptions } from './fork-options'

/** Meteor's boot.js sets this global, which no type package declares. */
declare const __meteor_bootstrap__: { readonly serverDir: string }

/** The server's own entry: the same file under `meteor run`, `meteor test-packages`, a bundle and PM2. */
export function serverEntry(): string {
  return resolve(__meteor_bootstrap__.serverDir, '../../main.js')
}

/** Forks a copy of this server. */
export function forkServer(port: number, ownerKey: string, workerExecArgv: readonly string[]): ChildProcess {
  const main = serverEntry()
  // main.js inserts 'program.json' itself.
  const args = process.argv.slice(3)
  const { env, execArgv, execPath, pid } = process
  const cwd = startFolder(main)
  return fork(
    main,
    args,
    forkOptions({ env, execArgv, workerExecArgv, execPath, pid, ownerKey, main, args, cwd }, port),
  )
}

/**
 * Where this process was started, as far as its environment tells: relative paths in Node's flags hold there. By now,
 * main.js has changed the folder, as it does in each worker.
 */
function startFolder(main: string): string {
  const { PWD = '' } = process.env
  return isAbsolute(PWD) && existsSync(PWD) ? PWD : dirname(main)
}

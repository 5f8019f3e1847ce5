import type { ForkOptions } from 'node:child_process'
import { WORKER_VARIABLE } from '../../../common/pipe/protocol'
import { workerMark } from './worker-mark'

/** What the master knows about itself when it forks. */
export interface ForkContext {
  readonly env: NodeJS.ProcessEnv
  readonly execArgv: readonly string[]
  /** The option: flags for workers, behind those of this process. */
  readonly workerExecArgv: readonly string[]
  readonly execPath: string
  readonly pid: number
  /** Identifies this process, so that its next run can find the workers that it left behind. */
  readonly ownerKey: string
  /** The file that a worker runs, and its arguments. */
  readonly main: string
  readonly args: readonly string[]
  /** Where a worker is started. */
  readonly cwd: string
}

/**
 * The environment variables that a copy of the server must not inherit:
 * - UNIX_SOCKET_PATH: the worker would unlink the master's socket and listen there instead.
 * - METEOR_PRINT_ON_LISTEN: the Meteor tool would mistake the worker's line for the app's.
 * - METEOR_SHELL_DIR: `meteor shell` would land in a worker.
 * - METEOR_INSPECT_BRK: the worker would wait five minutes for a debugger.
 * - MONGO_OPLOG_URL: each worker would tail the whole oplog, although nobody makes live queries there.
 */
export const NOT_INHERITED = [
  'UNIX_SOCKET_PATH',
  'METEOR_PRINT_ON_LISTEN',
  'METEOR_SHELL_DIR',
  'METEOR_INSPECT_BRK',
  'MONGO_OPLOG_URL',
] as const

/** How to fork a worker whose web server listens on `port`. */
export function forkOptions(context: ForkContext, port: number): ForkOptions {
  const { cwd, env, execPath, pid, ownerKey, main, args } = context
  const execArgv = [...withoutInspector(context.execArgv), ...context.workerExecArgv]
  const inherited = { ...env }
  for (const name of NOT_INHERITED) delete inherited[name]
  if (env.NODE_OPTIONS !== undefined) {
    inherited.NODE_OPTIONS = withoutInspector(env.NODE_OPTIONS.split(' ')).join(' ')
  }
  return {
    cwd,
    env: {
      ...inherited,
      [WORKER_VARIABLE]: workerMark(ownerKey, [execPath, ...execArgv, main, ...args]),
      PORT: String(port),
      // Invariant 11: nobody outside this machine can reach a worker.
      BIND_IP: '127.0.0.1',
      // Meteor's boot.js exits when this process is gone.
      METEOR_PARENT_PID: String(pid),
    },
    execArgv,
    serialization: 'json',
    // The master relays what a worker writes to stderr, and so knows its last words.
    stdio: ['inherit', 'inherit', 'pipe', 'ipc'],
  }
}

/** The master uses the inspector's port, and `--inspect-brk` would halt the worker. */
function withoutInspector(flags: readonly string[]): string[] {
  return flags.filter((flag, index) => !isInspectorFlag(flag) && !takesPort(flags[index - 1]))
}

function isInspectorFlag(flag: string): boolean {
  return flag.startsWith('--inspect') || flag.startsWith('--debug-port')
}

/** These may have their value as the next argument; `--inspect` and `--inspect-brk` may not. */
function takesPort(flag: string | undefined): boolean {
  return flag === '--inspect-port' || flag === '--debug-port'
}

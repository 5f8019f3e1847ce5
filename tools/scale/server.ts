import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { serverEnvironment } from '../../tests/support/server-environment'
import { within } from '../../tests/support/wait'
import { standIn } from '../stand-in/start'
import { type Command, type Notice, type NoticeOf, SETTINGS_VARIABLE, type Settings } from './messages'

const APP = path.join(import.meta.dirname, 'app')

/** No notice takes this long: it would not come at all. */
const PATIENCE_MS = 120_000

/**
 * The first port for workers; each server has PORTS_EACH of its own. They lie below the range from which systems take
 * the ports of outgoing connections.
 */
const FIRST_PORT = 12_000
const PORTS_EACH = 10

/** Runs the app that is measured, in a process of its own. */
export class Server {
  readonly #child: ChildProcess
  readonly #exit: Promise<unknown>
  readonly #notices: Notice[] = []
  readonly #watchers = new Set<() => void>()

  constructor(databaseUrl: string, settings: Settings) {
    const { args, env } = standIn(APP)
    const [main = '', ...flags] = [...args].reverse()
    this.#child = fork(main, [], {
      execArgv: ['--expose-gc', ...flags.reverse()],
      serialization: 'advanced',
      env: {
        ...serverEnvironment(),
        ...env,
        MONGO_URL: databaseUrl,
        [SETTINGS_VARIABLE]: JSON.stringify(settings),
      },
    })
    this.#exit = once(this.#child, 'exit')
    this.#child.on('message', message => {
      this.#notices.push(message as Notice)
      this.changed()
    })
    this.#child.once('exit', () => {
      this.changed()
    })
  }

  /** All notices of this kind so far. */
  notices<Kind extends Notice['kind']>(kind: Kind): NoticeOf<Kind>[] {
    return this.#notices.filter((notice): notice is NoticeOf<Kind> => notice.kind === kind)
  }

  /** The first notice of this kind that `accepts` accepts, now or later. Rejects if the server exits first. */
  async notice<Kind extends Notice['kind']>(
    kind: Kind,
    accepts: (notice: NoticeOf<Kind>) => boolean = () => true,
  ): Promise<NoticeOf<Kind>> {
    let check: () => void = () => undefined
    const found = new Promise<NoticeOf<Kind>>((resolve, reject) => {
      check = () => {
        const notice = this.notices(kind).find(accepts)
        if (notice !== undefined) resolve(notice)
        else if (this.hasExited) reject(new Error(`the server exited before the notice '${kind}'`))
      }
      this.#watchers.add(check)
      check()
    })
    try {
      return await within(found, `the notice '${kind}'`, PATIENCE_MS)
    } finally {
      this.#watchers.delete(check)
    }
  }

  send(command: Command): void {
    this.#child.send(command)
  }

  /** Adds a `hold` task, which runs until it is released. */
  hold(_id: string): void {
    this.send({ command: 'add', task: { taskType: 'hold', data: {}, _id } })
  }

  started(taskId: string, attempt = 1): Promise<NoticeOf<'started'>> {
    return this.notice('started', start => start.taskId === taskId && start.attempt === attempt)
  }

  /** Lets a `hold` task finish, and waits for its `done` event. */
  async release(taskId: string): Promise<void> {
    this.send({ command: 'release', taskId })
    await this.notice('done', done => done.taskId === taskId)
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exit
  }

  private get hasExited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  private changed(): void {
    for (const watcher of this.#watchers) watcher()
  }
}

/** Lets a measurement start servers, and kills them at the end, whatever happens. */
export async function withServers<Result>(
  databaseUrl: string,
  measure: (start: (options?: Settings['options'], tasks?: number, sampleEvery?: number) => Server) => Promise<Result>,
): Promise<Result> {
  const servers: Server[] = []
  const defaults = { logs: 'error', keepAlive: 'always', maxAvailableWorkers: 2 } as const
  try {
    return await measure((options, tasks = 0, sampleEvery = 1) => {
      const port = FIRST_PORT + servers.length * PORTS_EACH
      const server = new Server(databaseUrl, { options: { ...defaults, port, ...options }, tasks, sampleEvery })
      servers.push(server)
      return server
    })
  } finally {
    for (const server of servers) await server.kill()
  }
}

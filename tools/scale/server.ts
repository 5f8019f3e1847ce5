import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { serverEnvironment } from '../../tests/support/server-environment'
import { within } from '../../tests/support/wait'
import { standIn } from '../stand-in/start'
import { type Command, type Notice, type NoticeOf, SETTINGS_VARIABLE, type Settings } from './messages'

const APP = path.join(import.meta.dirname, 'app')

/** Nothing that is waited for takes this long, unless it does not come. */
const PATIENCE_MS = 120_000

/**
 * Each server has its own ports for its workers: below the range from which systems take those of outgoing connections.
 */
const FIRST_PORT = 12_000
const PORTS_EACH = 10

/** The app that is measured, as a server of its own. */
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

  /** All of this kind so far. */
  notices<Kind extends Notice['kind']>(kind: Kind): NoticeOf<Kind>[] {
    return this.#notices.filter((notice): notice is NoticeOf<Kind> => notice.kind === kind)
  }

  /** The first of this kind that is accepted, now or later. Rejects when the server ends before. */
  async notice<Kind extends Notice['kind']>(
    kind: Kind,
    accepts: (notice: NoticeOf<Kind>) => boolean = () => true,
  ): Promise<NoticeOf<Kind>> {
    let look: () => void = () => undefined
    const found = new Promise<NoticeOf<Kind>>((resolve, reject) => {
      look = () => {
        const notice = this.notices(kind).find(accepts)
        if (notice !== undefined) resolve(notice)
        else if (this.hasExited) reject(new Error(`the server ended before the notice '${kind}'`))
      }
      this.#watchers.add(look)
      look()
    })
    try {
      return await within(found, `the notice '${kind}'`, PATIENCE_MS)
    } finally {
      this.#watchers.delete(look)
    }
  }

  send(command: Command): void {
    this.#child.send(command)
  }

  /** Has a `hold` task run until it is released. */
  hold(_id: string): void {
    this.send({ command: 'add', task: { taskType: 'hold', data: {}, _id } })
  }

  started(taskId: string, attempt = 1): Promise<NoticeOf<'started'>> {
    return this.notice('started', start => start.taskId === taskId && start.attempt === attempt)
  }

  /** Ends a `hold` task, and waits for the event which says so. */
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

/** Gives a measurement servers, and ends them whatever happens. */
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

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { Processes, isAlive, resume, workersOf } from './processes'
import { APP_VARIABLE, type Notice } from './remote-protocol'
import { serverEnvironment } from './server-environment'
import { eventually, within } from './wait'

declare const __meteor_bootstrap__: { readonly serverDir: string }

export type NoticeOf<Event extends Notice['event']> = Extract<Notice, { event: Event }>

/**
 * Every process that a test forked, or that was forked below it, so that the last test can tell whether one is left.
 */
export const forkedProcesses = new Processes()

/**
 * A whole server in a process of its own, running one of the apps in tests/main.ts: what it writes and what it tells.
 */
export class RemoteServer {
  readonly #child: ChildProcess
  readonly #notices: Notice[] = []
  readonly #exit: Promise<unknown>
  /** Called at each notice, each piece of output, and at the end. */
  readonly #watchers = new Set<() => void>()
  #output = ''
  #hasClosed = false

  /** @param cwd where it is started; default: where the tests are */
  constructor(app: string, env: NodeJS.ProcessEnv, cwd?: string) {
    const main = path.resolve(__meteor_bootstrap__.serverDir, '../../main.js')
    this.#child = fork(main, process.argv.slice(3), {
      cwd,
      // As a shell sets it.
      env: { ...serverEnvironment(), ...(cwd === undefined ? {} : { PWD: cwd }), [APP_VARIABLE]: app, ...env },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      serialization: 'advanced',
    })
    forkedProcesses.add(this.pid)
    // Unlike `exit`, this comes after all that was written.
    this.#exit = once(this.#child, 'close')
    this.watch()
  }

  get pid(): number {
    return this.#child.pid ?? -1
  }

  get hasExited(): boolean {
    return this.#hasClosed
  }

  /** What the server and its workers wrote to their standard output and error. */
  get output(): string {
    return this.#output
  }

  get workerPids(): number[] {
    const pids = workersOf(this.pid)
    for (const pid of pids) forkedProcesses.add(pid)
    return pids
  }

  /** All that the server told so far, in its order. */
  notices<Event extends Notice['event']>(...events: Event[]): NoticeOf<Event>[] {
    return this.#notices.filter((notice): notice is NoticeOf<Event> => events.some(event => event === notice.event))
  }

  /** The first notice of this kind that is accepted, now or later. */
  async notice<Event extends Notice['event']>(
    event: Event,
    accepts: (notice: NoticeOf<Event>) => boolean = () => true,
  ): Promise<NoticeOf<Event>> {
    const find = () => this.notices(event).find(accepts)
    await this.until(`the notice '${event}'`, () => find() !== undefined)
    return find() as NoticeOf<Event>
  }

  /** Until something was written. @returns the match */
  async written(pattern: RegExp): Promise<RegExpExecArray> {
    await this.until(`output like ${String(pattern)}`, () => pattern.test(this.#output))
    return pattern.exec(this.#output) as RegExpExecArray
  }

  /** Re-checked at each notice and each piece of output. Rejects when the server exits before. */
  async until(what: string, isSo: () => boolean): Promise<void> {
    let watcher: () => void = () => undefined
    const happened = new Promise<void>((resolve, reject) => {
      watcher = () => {
        if (isSo()) resolve()
        else if (this.hasExited) reject(new Error(`the server exited, waiting for ${what}`))
      }
      this.#watchers.add(watcher)
      watcher()
    })
    try {
      await within(happened, what)
    } catch (error) {
      throw new Error(`${(error as Error).message}; the server wrote:\n${this.#output}`, { cause: error })
    } finally {
      this.#watchers.delete(watcher)
    }
  }

  /**
   * Reads nothing more of what the server and its workers write to stderr, until the function that it returns is
   * called.
   */
  leaveStderrUnread(): () => void {
    this.#child.stderr?.pause()
    return () => this.#child.stderr?.resume()
  }

  async workersAre(count: number): Promise<void> {
    try {
      await eventually(`there are ${String(count)} workers`, () => this.workerPids.length === count)
    } catch (error) {
      throw new Error(`${(error as Error).message}; the server wrote:\n${this.#output}`, { cause: error })
    }
  }

  /** Ends the server if it lives, and waits until it and its workers are gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const workers = this.workerPids
    this.#child.kill(signal)
    // One that a test has suspended would not notice that its master is gone.
    for (const pid of workers) resume(pid)
    await this.exited()
    await eventually('the workers of the server are gone', () => !workers.some(isAlive))
  }

  /** Without waiting for its workers. */
  killAlone(): void {
    this.#child.kill('SIGKILL')
  }

  async exited(): Promise<void> {
    await within(this.#exit, 'the exit of the server')
  }

  send(message: object): void {
    this.#child.send(message)
  }

  private watch(): void {
    const changed = () => {
      for (const watcher of this.#watchers) watcher()
    }
    this.#child.on('message', message => {
      this.#notices.push((message as { notice: Notice }).notice)
      changed()
    })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#output += String(chunk)
        changed()
      })
    }
    this.#child.once('close', () => {
      this.#hasClosed = true
      changed()
    })
  }
}

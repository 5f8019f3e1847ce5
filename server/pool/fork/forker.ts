import type { ChildProcess } from 'node:child_process'
import { messageOf } from '../../../common/errors'
import type { Log } from '../../../common/log'
import { ForkBreaker } from './fork-breaker'
import { freePort } from '../../free-port'
import { prioritize } from './worker-priority'

export interface ForkerOptions {
  /** The port of the first worker. */
  readonly port: number
  /** Forks a copy of this server whose web server listens on `port`. */
  readonly fork: (port: number) => ChildProcess
  /** The nice value of workers; null: lower than that of this process. */
  readonly priority: number | null
  readonly log: Log
}

export interface ForkerEvents {
  readonly portsInUse: () => ReadonlySet<number>
  readonly forked: (child: ChildProcess, port: number) => void
  /** After a pause, workers may be forked again. */
  readonly mayForkAgain: () => void
}

/**
 * Forks workers one at a time, since each needs a free port. After one that exited by itself, it forks none for a
 * while.
 */
export class Forker {
  readonly #options: ForkerOptions
  readonly #events: ForkerEvents
  readonly #breaker = new ForkBreaker()
  #pending = 0
  #forking: Promise<void> | undefined

  constructor(options: ForkerOptions, events: ForkerEvents) {
    this.#options = options
    this.#events = events
  }

  /** How many are still to be forked. */
  get pending(): number {
    return this.#pending
  }

  /** Forks this many more workers; none in the pause after a failed worker. */
  fork(count: number): void {
    if (!this.#breaker.allowsFork) return
    this.#pending += Math.max(0, count)
    if (this.#pending > 0 && this.#forking === undefined) this.#forking = this.forkPending()
  }

  cancelPending(): void {
    this.#pending = 0
  }

  /** A job has reported an outcome, so workers work. */
  succeeded(): void {
    this.#breaker.succeeded()
  }

  /** A worker exited by itself, or could not be forked: cancels the pending forks, and pauses. */
  failed(reason: string): void {
    this.cancelPending()
    const { failures, pause } = this.#breaker.failed(() => this.#events.mayForkAgain())
    this.#options.log.error(
      `${reason}; ${String(failures)} in a row, no other is forked for ${String(pause)} ms. ` +
        'What it wrote before it ended stands above.',
    )
  }

  private async forkPending(): Promise<void> {
    while (this.#pending > 0) await this.forkOne()
    this.#forking = undefined
  }

  private async forkOne(): Promise<void> {
    try {
      const port = await freePort(this.#options.port, this.#events.portsInUse())
      // Another worker may have failed meanwhile, which cancels the pending forks.
      if (this.#pending === 0) return
      this.#pending--
      this.#events.forked(this.forkOn(port), port)
    } catch (error) {
      this.failed(messageOf(error))
    }
  }

  private forkOn(port: number): ChildProcess {
    const { fork, log, priority } = this.#options
    const child = fork(port)
    if (child.pid !== undefined) prioritize(child.pid, priority, text => log.warn(text))
    return child
  }
}

import { TaskTimeoutError } from '../../common/errors'
import type { Claim } from '../queue/claim'

/** What bounds a job in time. */
export interface Limits {
  /** On the monotonic clock: the job is not started at this moment or later. */
  readonly startBefore: number | undefined
  /** Milliseconds, from when it starts. */
  readonly timeout: number | undefined
  /** Milliseconds that it has to end after its timeout. */
  readonly grace: number
}

/** How a job is to run beside others. */
export interface Manner {
  /** It is to start only when another has ended. */
  readonly isAhead: boolean
  /** No other is to be started while it runs. */
  readonly isAlone: boolean
}

/** What a job has its worker do. */
export interface JobCommands {
  /** Not to start it. */
  recall(token: string): void
  /** Tell it to end. */
  abort(token: string, reason: Error): void
  kill(): void
}

/** A job that was sent to a worker: whether it has started, and why it was told to end early, if it was. */
export class SentJob {
  readonly claim: Claim
  /** Whether its worker had others to run first, and so may come to it late. */
  readonly isAhead: boolean
  readonly #limits: Limits
  readonly #commands: JobCommands
  #hasStarted = false
  #aborted: Error | undefined
  #timeout: NodeJS.Timeout | undefined
  #kill: NodeJS.Timeout | undefined
  #grace = Infinity
  /** On performance.now. */
  #killAt = Infinity

  constructor(claim: Claim, isAhead: boolean, limits: Limits, commands: JobCommands) {
    this.claim = claim
    this.isAhead = isAhead
    this.#limits = limits
    this.#commands = commands
  }

  get hasStarted(): boolean {
    return this.#hasStarted
  }

  get aborted(): Error | undefined {
    return this.#aborted
  }

  started(): void {
    this.#hasStarted = true
    const { timeout, grace } = this.#limits
    if (this.#aborted !== undefined) this.tellToEnd(this.#aborted)
    else if (timeout !== undefined) {
      this.#timeout = setTimeout(() => {
        this.abort(new TaskTimeoutError(timeout), grace)
      }, timeout)
    }
  }

  /**
   * The first reason counts, and the grace that ends first.
   *
   * @param grace milliseconds after which its worker is killed, unless the job has ended; one that has not started
   * kills nobody
   */
  abort(reason: Error, grace: number): void {
    this.#aborted ??= reason
    this.#grace = Math.min(this.#grace, grace)
    if (this.#hasStarted) this.tellToEnd(this.#aborted)
    else this.#commands.recall(this.claim.token)
  }

  end(): void {
    clearTimeout(this.#timeout)
    clearTimeout(this.#kill)
  }

  private tellToEnd(reason: Error): void {
    this.#commands.abort(this.claim.token, reason)
    const killAt = performance.now() + this.#grace
    if (killAt >= this.#killAt) return
    clearTimeout(this.#kill)
    this.#killAt = killAt
    this.#kill = setTimeout(() => {
      this.#commands.kill()
    }, this.#grace)
  }
}

import { TaskTimeoutError } from '../../common/errors'
import type { Claim } from '../queue/claim'

/** What bounds a job in time. */
export interface Limits {
  /** On the monotonic clock: the job is not started at this moment or later, since its claim may be over. */
  readonly startBefore: number | undefined
  /** Milliseconds, from when it starts. */
  readonly timeout: number | undefined
  /** Milliseconds that it has to end after its timeout. */
  readonly grace: number
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
  /** Milliseconds from when its `run` message has left until it must have started, or is not started. */
  readonly startsWithin: number
  readonly #limits: Limits
  readonly #commands: JobCommands
  /** On performance.now. */
  #startedAt: number | undefined
  /** Undefined until its `run` message has left. */
  #unheardFor: number | undefined
  #aborted: Error | undefined
  #timeout: NodeJS.Timeout | undefined
  #judging: NodeJS.Immediate | undefined
  #kill: NodeJS.Timeout | undefined
  #grace = Infinity
  /** On performance.now. */
  #killAt = Infinity

  constructor(claim: Claim, startsWithin: number, limits: Limits, commands: JobCommands) {
    this.claim = claim
    this.startsWithin = startsWithin
    this.#limits = limits
    this.#commands = commands
  }

  get hasStarted(): boolean {
    return this.#startedAt !== undefined
  }

  /** Milliseconds since it started; 0 until then. */
  get runningFor(): number {
    return this.#startedAt === undefined ? 0 : performance.now() - this.#startedAt
  }

  /** Milliseconds for which this process has listened, since the `run` message had left, and not heard of a start. */
  get unheardFor(): number {
    return this.#unheardFor ?? 0
  }

  /** Its `run` message has left. */
  left(): void {
    this.#unheardFor = 0
  }

  /** This process has listened for so many milliseconds more. */
  listened(milliseconds: number): void {
    if (this.#unheardFor !== undefined) this.#unheardFor += milliseconds
  }

  get aborted(): Error | undefined {
    return this.#aborted
  }

  started(): void {
    this.#startedAt = performance.now()
    const { timeout, grace } = this.#limits
    if (this.#aborted !== undefined) this.tellToEnd(this.#aborted)
    else if (timeout !== undefined) {
      this.#timeout = setTimeout(() => {
        // After the pipe was read: this process may have been blocked, while the outcome or the worker's exit came.
        this.#judging = setImmediate(() => {
          this.abort(new TaskTimeoutError(timeout), grace)
        })
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
    if (this.hasStarted) this.tellToEnd(this.#aborted)
    else this.#commands.recall(this.claim.token)
  }

  /** It has ended, or its worker has exited: neither its timeout nor its grace counts any more. */
  clearTimers(): void {
    clearTimeout(this.#timeout)
    clearImmediate(this.#judging)
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

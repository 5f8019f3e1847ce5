import { TaskTimeoutError } from '../../../common/errors'
import type { Claim } from '../../queue/claim'

/** The time limits of a job. */
export interface Limits {
  /** The job is not started at or after this time (monotonic clock), since its claim may have expired by then. */
  readonly startBefore: number | undefined
  /** Milliseconds from its start. */
  readonly timeout: number | undefined
  /** Milliseconds that the job has to finish after its timeout. */
  readonly grace: number
}

/** The commands of a job to its worker. */
export interface JobCommands {
  /** Asks the worker not to start the job. */
  recall(token: string): void
  /** Asks the running job to finish early. */
  abort(token: string, reason: Error): void
  /** Kills the worker: the job did not finish within its grace. */
  killForJob(): void
}

/** A job that was sent to a worker: whether it has started, and why it was aborted, if it was. */
export class SentJob {
  readonly claim: Claim
  /**
   * Milliseconds after its `run` message has left within which the job must start. The worker refuses a later start.
   */
  readonly startsWithin: number
  readonly #limits: Limits
  readonly #commands: JobCommands
  /** On performance.now. */
  #startedAt: number | undefined
  /** Undefined until its `run` message has left. */
  #silentMs: number | undefined
  #abortReason: Error | undefined
  #timeout: NodeJS.Timeout | undefined
  readonly #judging: NodeJS.Immediate[] = []
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

  /** Milliseconds that this process has listened since the `run` message left, without hearing of a start. */
  get silentMs(): number {
    return this.#silentMs ?? 0
  }

  /** Its `run` message has left this process. */
  flushed(): void {
    this.#silentMs = 0
  }

  /** This process has listened for this many more milliseconds. */
  addListeningTime(milliseconds: number): void {
    if (this.#silentMs !== undefined) this.#silentMs += milliseconds
  }

  get abortReason(): Error | undefined {
    return this.#abortReason
  }

  started(): void {
    this.#startedAt = performance.now()
    const { timeout, grace } = this.#limits
    if (this.#abortReason !== undefined) this.requestAbort(this.#abortReason)
    else if (timeout !== undefined) {
      this.#timeout = setTimeout(() => {
        this.onceRead(() => this.abort(new TaskTimeoutError(timeout), grace))
      }, timeout)
    }
  }

  /**
   * Asks the job to finish early, or recalls it if it has not started. Of several calls, the first reason counts, and
   * the grace that ends first.
   *
   * @param grace milliseconds after which the worker is killed if the job has started and is not over
   */
  abort(reason: Error, grace: number): void {
    this.#abortReason ??= reason
    this.#grace = Math.min(this.#grace, grace)
    if (this.hasStarted) this.requestAbort(this.#abortReason)
    else this.recall()
  }

  /** Asks the worker to return the job, unless the worker has started it. */
  recall(): void {
    this.#commands.recall(this.claim.token)
  }

  /** It has ended, or its worker has exited: neither its timeout nor its grace counts any more. */
  clearTimers(): void {
    clearTimeout(this.#timeout)
    clearTimeout(this.#kill)
    for (const immediate of this.#judging.splice(0)) clearImmediate(immediate)
  }

  /**
   * Runs this after the pipe's pending input was read: if this process was blocked, the outcome or the worker's exit
   * may be there already.
   */
  private onceRead(run: () => void): void {
    this.#judging.push(setImmediate(run))
  }

  private requestAbort(reason: Error): void {
    this.#commands.abort(this.claim.token, reason)
    const killAt = performance.now() + this.#grace
    if (killAt >= this.#killAt) return
    clearTimeout(this.#kill)
    this.#killAt = killAt
    this.#kill = setTimeout(() => {
      this.onceRead(() => this.#commands.killForJob())
    }, this.#grace)
  }
}

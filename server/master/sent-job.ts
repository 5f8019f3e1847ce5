import { TaskTimeoutError } from '../../common/errors'
import type { Claim } from '../queue/claim'

/** What bounds a job in time. */
export interface Limits {
  /** On the monotonic clock: the job is not started at this moment or later. */
  readonly startBefore: number | undefined
  /** Milliseconds, from when it is sent. */
  readonly timeout: number | undefined
}

/** A job that was sent to a worker: whether it has started, and why it was told to end early, if it was. */
export class SentJob {
  readonly claim: Claim
  hasStarted = false
  #aborted: Error | undefined
  #timeout: NodeJS.Timeout | undefined
  #kill: NodeJS.Timeout | undefined
  /** On performance.now. */
  #killAt = Infinity

  constructor(claim: Claim, timeout: number | undefined, onTimeout: (reason: Error) => void) {
    this.claim = claim
    if (timeout === undefined) return
    this.#timeout = setTimeout(() => {
      onTimeout(new TaskTimeoutError(timeout))
    }, timeout)
  }

  get aborted(): Error | undefined {
    return this.#aborted
  }

  /**
   * The first reason counts, and the grace that ends first.
   *
   * @param grace milliseconds after which `kill` is called, unless the job has ended
   */
  abort(reason: Error, grace: number, kill: () => void): void {
    this.#aborted ??= reason
    const killAt = performance.now() + grace
    if (killAt >= this.#killAt) return
    clearTimeout(this.#kill)
    this.#killAt = killAt
    this.#kill = setTimeout(kill, grace)
  }

  end(): void {
    clearTimeout(this.#timeout)
    clearTimeout(this.#kill)
  }
}

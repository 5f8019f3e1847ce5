import { clockOffset, hasJumped, monotonicNow } from '../../../common/clock'

/**
 * How long a claim is valid, by this master's clock. It begins before the write, so it never outlasts the lease in the
 * database. While the machine sleeps, the monotonic clock stands still. After that, the lease counts as over until it
 * is renewed.
 */
export class Lease {
  /** On the monotonic clock. */
  readonly endsAt: number
  readonly #offset: number
  readonly #offsetNow: () => number

  /**
   * Begins now: create it before the claim or the renewal is sent.
   *
   * @param duration milliseconds
   * @param offsetNow the time of day minus the monotonic clock
   */
  constructor(duration: number, offsetNow: () => number = clockOffset) {
    this.endsAt = monotonicNow() + duration
    this.#offsetNow = offsetNow
    this.#offset = offsetNow()
  }

  get isOver(): boolean {
    return monotonicNow() >= this.endsAt || hasJumped(this.#offset, this.#offsetNow())
  }
}

import { messageOf } from '../../../common/errors'
import type { Log } from '../../../common/log'

/**
 * Logs when the change stream cannot be read, and when it can be read again: one line each, however many attempts fail
 * in between.
 */
export class FeedOutage {
  readonly #log: Log
  #isOn = false

  constructor(log: Log) {
    this.#log = log
  }

  /** @param isFinal whether no further attempt follows */
  failed(error: unknown, isFinal: boolean): void {
    if (this.#isOn) return
    this.#isOn = true
    this.#log.warn(
      `cannot follow the changes that other processes make, so they are found at each poll only` +
        (isFinal ? ' (MongoDB has change streams in replica sets)' : ', trying again') +
        `: ${messageOf(error)}`,
    )
  }

  opened(): void {
    if (this.#isOn) this.#log.warn('the changes that other processes make can be followed again')
    this.#isOn = false
  }
}

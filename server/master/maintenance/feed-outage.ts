import { messageOf } from '../../../common/errors'
import type { Log } from '../../../common/log'

/**
 * That the change stream cannot be read: one line when it begins and one when it is over, however often it is tried in
 * between.
 */
export class FeedOutage {
  readonly #log: Log
  #isOn = false

  constructor(log: Log) {
    this.#log = log
  }

  /** @param isFinal whether it is not tried again */
  failed(error: unknown, isFinal: boolean): void {
    if (this.#isOn) return
    this.#isOn = true
    this.#log.warn(
      `cannot follow the changes that other processes make, so they are found at each tick only` +
        (isFinal ? ' (MongoDB has change streams in replica sets)' : ', trying again') +
        `: ${messageOf(error)}`,
    )
  }

  opened(): void {
    if (this.#isOn) this.#log.warn('the changes that other processes make can be followed again')
    this.#isOn = false
  }
}

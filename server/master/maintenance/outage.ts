import { messageOf, toError } from '../../../common/errors'
import type { Log } from '../../../common/log'

/**
 * That the queue cannot be read: one line when it begins and one when it is over, however many polls fail in between.
 */
export class QueueOutage {
  readonly #log: Log
  #isOn = false

  constructor(log: Log) {
    this.#log = log
  }

  pollFailed(error: unknown): void {
    if (this.#isOn) return
    this.#isOn = true
    const reason = toError(error).stack ?? messageOf(error)
    this.#log.error('cannot read the queue, trying again at each tick', reason)
  }

  pollSucceeded(): void {
    if (this.#isOn) this.#log.warn('the queue can be read again')
    this.#isOn = false
  }
}

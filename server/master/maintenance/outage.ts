import type { Log } from '../../../common/log'

/**
 * Logs when the queue cannot be read or written, and when it can be again: one line each, however many passes fail in
 * between.
 */
export class QueueOutage {
  readonly #log: Log
  /** The loops whose last pass failed. */
  readonly #failing = new Set<object>()

  constructor(log: Log) {
    this.#log = log
  }

  /** @param loop whose pass failed */
  failed(loop: object, error: unknown): void {
    const isNew = this.#failing.size === 0
    this.#failing.add(loop)
    if (!isNew) return
    this.#log.error('cannot read the queue, trying again at each poll', error)
  }

  succeeded(loop: object): void {
    if (this.#failing.delete(loop) && this.#failing.size === 0) this.#log.warn('the queue can be read again')
  }
}

import { messageOf } from '../../common/errors'
import type { Log } from '../../common/log'

const OUTAGES = {
  queue: {
    level: 'error',
    began: 'cannot read the queue, trying again at each poll',
    ended: 'the queue can be read again',
  },
  renewals: {
    level: 'error',
    began: 'cannot renew the leases, trying again',
    ended: 'the leases are renewed again',
  },
  feed: {
    level: 'warn',
    began: 'cannot follow the changes that other processes make, so they are found at each poll only',
    ended: 'the changes that other processes make can be followed again',
  },
} as const

/** Logs when something fails, and when it succeeds again: one line each, however many attempts fail in between. */
export class Outage {
  readonly #log: Log
  readonly #texts: (typeof OUTAGES)[keyof typeof OUTAGES]
  /** Whose last attempt failed. */
  readonly #failing = new Set<object>()

  constructor(log: Log, what: keyof typeof OUTAGES) {
    this.#log = log
    this.#texts = OUTAGES[what]
  }

  /** @param by whose attempt it was */
  failed(by: object, error: unknown): void {
    const isNew = this.#failing.size === 0
    this.#failing.add(by)
    if (!isNew) return
    const { level, began } = this.#texts
    if (level === 'error') this.#log.error(began, error)
    else this.#log.warn(`${began}: ${messageOf(error)}`)
  }

  succeeded(by: object): void {
    if (this.#failing.delete(by) && this.#failing.size === 0) this.#log.warn(this.#texts.ended)
  }
}

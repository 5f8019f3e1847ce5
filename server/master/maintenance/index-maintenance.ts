import { messageOf } from '../../../common/errors'
import type { Log } from '../../../common/log'
import type { ChangeFeed } from '../../queue/mongo/feeds/change-feed'
import type { MongoMaintenance } from '../../queue/mongo/maintenance'

/** The pauses between two checks: with a feed, which reports when the collection is dropped, and without one. */
const CHECK_EVERY_MS = 60_000
const CHECK_WITHOUT_FEED_EVERY_MS = 10_000

export interface IndexMaintenanceParts {
  readonly queue: Pick<MongoMaintenance, 'createIndexes'>
  readonly feed: Pick<ChangeFeed, 'isOpen'>
  readonly log: Log
}

/**
 * Creates the indexes of the queue, and restores missing ones. Nothing waits for them: without one, queries are slower.
 */
export class IndexMaintenance {
  readonly #parts: IndexMaintenanceParts
  /** On performance.now. */
  #checkedAt = -Infinity
  #checking: Promise<void> | undefined
  /** The names of the indexes that the last warning named. */
  #warnedOf = ''

  constructor(parts: IndexMaintenanceParts) {
    this.#parts = parts
  }

  /** The collection is gone, and its indexes with it: the next pass creates them again. */
  collectionDropped(): void {
    this.#checkedAt = -Infinity
  }

  /** Called in each pass. */
  checkIfDue(): void {
    const period = this.#parts.feed.isOpen ? CHECK_EVERY_MS : CHECK_WITHOUT_FEED_EVERY_MS
    if (this.#checking !== undefined || performance.now() - this.#checkedAt < period) return
    this.#checkedAt = performance.now()
    this.#checking = this.check()
  }

  private async check(): Promise<void> {
    try {
      const missing = await this.#parts.queue.createIndexes()
      const names = missing.map(({ name }) => name).join(', ')
      if (names !== '' && names !== this.#warnedOf) this.warnOf(names, missing[0]?.error)
      this.#warnedOf = names
    } catch {
      // The database is away, as the poll of the queue reports. The next pass tries again.
      this.#checkedAt = -Infinity
    }
    this.#checking = undefined
  }

  private warnOf(names: string, error: unknown): void {
    this.#parts.log.warn(
      `cannot create the index ${names} of the queue: tasks run all the same, but more slowly, the more there are. ` +
        `Allow it, or create it with these keys (server/queue/mongo/documents/indexes.ts): ${messageOf(error)}`,
    )
  }
}

import type { Poison } from './poison'
import {
  AS_IN_MEMORY,
  BY_ID,
  DURABLE,
  NO_CANCEL_REQUESTED,
  type RawCollection,
  type StoredTask,
  inOneReply,
  tokensOf,
} from '../documents/schema'
import { RELEASED_UNREAD } from '../documents/updates'

/** Reads the tasks that one update has claimed. */
export class ClaimedTasks {
  readonly #tasks: RawCollection
  readonly #poison: Poison

  constructor(tasks: RawCollection, poison: Poison) {
    this.#tasks = tasks
    this.#poison = poison
  }

  /** Reads the claimed tasks, and fails those that cannot be read. @param batch the first part of their tokens */
  async read(batch: string, ids: readonly string[]): Promise<StoredTask[]> {
    for (;;) {
      try {
        return await this.readClaimed(batch, ids)
      } catch (error) {
        await this.#poison.failUnreadable(batch, error)
      }
    }
  }

  /** Reads one reply, 16 MB at most, and releases the rest. */
  private async readClaimed(batch: string, ids: readonly string[]): Promise<StoredTask[]> {
    const held = { _id: { $in: [...ids] }, 'claim.token': tokensOf(batch) }
    const options = { ...AS_IN_MEMORY, ...inOneReply(ids.length), projection: { claim: 0 } }
    const cursor = this.#tasks.find(held, options)
    try {
      const first = await cursor.next()
      if (first === null) return []
      const read = [first, ...cursor.readBufferedDocuments()]
      // Invariant 13: of large tasks, this process holds no more at once than one reply does.
      if (cursor.id?.isZero() === false) await this.releaseOthers(batch, ids, read)
      return read
    } finally {
      await cursor.close()
    }
  }

  private async releaseOthers(batch: string, ids: readonly string[], read: readonly StoredTask[]): Promise<void> {
    const readIds = new Set(read.map(({ _id }) => _id))
    const unread = { _id: { $in: ids.filter(_id => !readIds.has(_id)) }, 'claim.token': tokensOf(batch) }
    // A task with a cancel request keeps its claim until the lease expires: whoever cancels it must emit the event.
    const others = { ...unread, ...NO_CANCEL_REQUESTED }
    await this.#tasks.updateMany(others, RELEASED_UNREAD, { ...DURABLE, ...BY_ID })
  }
}

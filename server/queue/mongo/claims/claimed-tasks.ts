import type { Poison } from './poison'
import {
  AS_IN_MEMORY,
  BY_ID,
  type Filter,
  NO_CANCEL_REQUESTED,
  type RawCollection,
  type StoredTask,
  inOneReply,
  tokenOf,
} from '../documents/schema'
import { type RefusalListener, updateAllowed } from '../documents/allowed'
import { RELEASED_UNREAD } from '../documents/updates'

/** Reads the tasks that one update has claimed. */
export class ClaimedTasks {
  readonly #tasks: RawCollection
  readonly #poison: Poison
  readonly #listener: RefusalListener

  constructor(tasks: RawCollection, poison: Poison, listener: RefusalListener) {
    this.#tasks = tasks
    this.#poison = poison
    this.#listener = listener
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
    const held = heldIn(batch, ids)
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
    const unread = ids.filter(_id => !readIds.has(_id))
    // A task with a cancel request keeps its claim until the lease expires: whoever cancels it must emit the event.
    const others = { ...heldIn(batch, unread), ...NO_CANCEL_REQUESTED }
    await updateAllowed(this.#tasks, others, RELEASED_UNREAD, this.#listener, BY_ID)
  }
}

/** Matches those of these tasks that the batch holds, by whole tokens: a range of them depends on the collation. */
function heldIn(batch: string, ids: readonly string[]): Filter {
  return { _id: { $in: [...ids] }, 'claim.token': { $in: ids.map(_id => tokenOf(batch, _id)) } }
}

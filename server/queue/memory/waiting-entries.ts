import { compareTasks } from '../../../common/order'
import type { Rooms } from '../claim'
import type { Entry } from './entries'
import { PriorityQueue } from './priority-queue'

/** Fewer outdated entries than this are not worth a search. */
export const MIN_OUTDATED = 16

/**
 * The waiting entries in order, each type in a queue of its own: a type of which none may be claimed holds up no other.
 * An outdated entry is skipped when it comes up.
 */
export class WaitingEntries {
  readonly #byType = new Map<string, PriorityQueue<Entry>>()
  readonly #isCurrent: (entry: Entry) => boolean

  /** @param isCurrent whether an entry still stands for its task; if not, it is outdated */
  constructor(isCurrent: (entry: Entry) => boolean) {
    this.#isCurrent = isCurrent
  }

  add(entry: Entry): void {
    const { taskType } = entry.task
    let ofType = this.#byType.get(taskType)
    if (ofType === undefined) {
      ofType = new PriorityQueue((a, b) => compareTasks(a.task, b.task))
      this.#byType.set(taskType, ofType)
    }
    ofType.add(entry)
  }

  /** Removes the next entry of the types that have room, and returns it. */
  take(rooms: Rooms): Entry | undefined {
    let [best, first]: [PriorityQueue<Entry> | undefined, Entry | undefined] = [undefined, undefined]
    for (const [taskType, ofType] of this.#byType) {
      const next = rooms.roomOf(taskType) > 0 ? this.firstOf(taskType, ofType) : undefined
      const isBetter = next !== undefined && (first === undefined || compareTasks(next.task, first.task) < 0)
      if (isBetter) [best, first] = [ofType, next]
    }
    return best?.take()
  }

  /**
   * How many entries may be taken now; stops counting at `limit`. Outdated entries may be counted, unless there are no
   * others of their type.
   */
  count(limit: number, rooms: Rooms): number {
    let count = 0
    for (const [taskType, ofType] of this.#byType) {
      if (count >= limit) break
      const room = rooms.roomOf(taskType)
      if (room > 0 && this.firstOf(taskType, ofType) !== undefined) count += Math.min(ofType.size, room)
    }
    return Math.min(count, limit)
  }

  /**
   * Drops the outdated entries of each type of which most are outdated.
   *
   * @param current how many are not, of all types
   */
  forgetOutdated(current: number): void {
    for (const ofType of this.#byType.values()) {
      if (ofType.size > 2 * current + MIN_OUTDATED) ofType.retain(this.#isCurrent)
    }
  }

  private firstOf(taskType: string, ofType: PriorityQueue<Entry>): Entry | undefined {
    let first = ofType.first()
    while (first !== undefined && !this.#isCurrent(first)) {
      ofType.take()
      first = ofType.first()
    }
    if (first === undefined) this.#byType.delete(taskType)
    return first
  }
}

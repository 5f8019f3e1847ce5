import type { Task } from '../../../common/task'
import type { Rooms } from '../claim'
import { PriorityQueue } from './priority-queue'
import { MIN_OUTDATED, WaitingEntries } from './waiting-entries'

/** A task in memory. */
export interface Entry {
  task: Task
  /** Set while the task is running. */
  token?: string
  /** Set while the task is running: `TaskQueue.cancel` was called. */
  isCancelRequested?: true
  /** Set on a done task that is kept for its `keepDone`: until then its `_id` is taken (performance.now). */
  idHeldUntil?: number
  /** What those who wait for the end get: the error of a failed task, or why a done one has no result. */
  failure?: Error
  /** When a task that was delayed is due (performance.now), so that setting the clock changes nothing. */
  dueAt?: number
}

/** The waiting and scheduled entries, in order. An outdated entry is skipped when it comes up. */
export class QueuedEntries {
  readonly #waiting: WaitingEntries
  readonly #scheduled = new PriorityQueue<Entry>((a, b) => Number(a.task.dueDate) - Number(b.task.dueDate))
  readonly #retried = new PriorityQueue<Entry>((a, b) => (a.dueAt ?? 0) - (b.dueAt ?? 0))
  readonly #isCurrent: (entry: Entry) => boolean

  /** @param isCurrent whether an entry still stands for its task; if not, it is outdated */
  constructor(isCurrent: (entry: Entry) => boolean) {
    this.#isCurrent = isCurrent
    this.#waiting = new WaitingEntries(isCurrent)
  }

  /** Adds an entry, and sets the state of its task by its due date. */
  add(entry: Entry): void {
    if (waitOf(entry) <= 0) {
      this.addWaiting(entry)
      return
    }
    setState(entry, 'scheduled')
    const entries = entry.dueAt === undefined ? this.#scheduled : this.#retried
    entries.add(entry)
  }

  /**
   * Makes the scheduled entries that are due `waiting`. Nothing else does: a due date that passes right after it is
   * still to come for the caller, who can set a timer for it.
   *
   * @returns milliseconds until the next one is due, which may be outdated; Infinity if there is none
   */
  promoteDue(): number {
    return Math.min(this.promoteIn(this.#scheduled), this.promoteIn(this.#retried))
  }

  /** Removes the next waiting entry of the types that have room, and returns it. */
  takeWaiting(rooms: Rooms): Entry | undefined {
    return this.#waiting.take(rooms)
  }

  /** As `WaitingEntries.count`. */
  countWaiting(limit: number, rooms: Rooms): number {
    return this.#waiting.count(limit, rooms)
  }

  /**
   * Drops the outdated entries once most entries are outdated, so that each removal costs O(log n) on average.
   *
   * @param current how many entries are not outdated
   */
  forgetOutdated(current: number): void {
    this.#waiting.forgetOutdated(current)
    for (const entries of [this.#scheduled, this.#retried]) {
      if (entries.size > 2 * current + MIN_OUTDATED) entries.retain(this.#isCurrent)
    }
  }

  private promoteIn(entries: PriorityQueue<Entry>): number {
    for (let next = entries.first(); next !== undefined; next = entries.first()) {
      const wait = waitOf(next)
      if (wait > 0) return wait
      entries.take()
      if (this.#isCurrent(next)) this.addWaiting(next)
    }
    return Infinity
  }

  private addWaiting(entry: Entry): void {
    setState(entry, 'waiting')
    this.#waiting.add(entry)
  }
}

function setState(entry: Entry, state: 'waiting' | 'scheduled'): void {
  if (entry.task.state !== state) entry.task = { ...entry.task, state }
}

/** Milliseconds until the task is due; 0 or less when it is. */
function waitOf({ dueAt, task }: Entry): number {
  return dueAt === undefined ? Number(task.dueDate) - Date.now() : dueAt - performance.now()
}

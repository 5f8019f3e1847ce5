import { compareTasks } from '../../../common/order'
import type { Task } from '../../../common/task'
import { PriorityQueue } from './priority-queue'

/** A task in memory. */
export interface Entry {
  task: Task
  /** While running. */
  token?: string
  /** While running: `TaskQueue.cancel` was called. */
  isCancelRequested?: true
}

/** In fewer it is not worth the while to look for entries that are out of date. */
const MIN_OUTDATED = 16

/** The entries that are waiting or scheduled, in order. Those that are out of date are skipped when they come up. */
export class QueuedEntries {
  readonly #waiting = new PriorityQueue<Entry>((a, b) => compareTasks(a.task, b.task))
  readonly #scheduled = new PriorityQueue<Entry>((a, b) => Number(a.task.dueDate) - Number(b.task.dueDate))
  readonly #isCurrent: (entry: Entry) => boolean

  /** @param isCurrent whether an entry still stands for its task */
  constructor(isCurrent: (entry: Entry) => boolean) {
    this.#isCurrent = isCurrent
  }

  /** How many are waiting, those included that are out of date. */
  get waitingCount(): number {
    return this.#waiting.size
  }

  /** Also sets the state of its task, by its due date. */
  add(entry: Entry): void {
    const isDue = entry.task.dueDate <= new Date()
    const state = isDue ? 'waiting' : 'scheduled'
    if (entry.task.state !== state) entry.task = { ...entry.task, state }
    ;(isDue ? this.#waiting : this.#scheduled).add(entry)
  }

  /** When the next of those that are not due will be, unless it has been removed. */
  get nextDue(): Date | undefined {
    return this.#scheduled.first()?.task.dueDate
  }

  /** The next one that is due. */
  first(): Entry | undefined {
    this.promote()
    let first = this.#waiting.first()
    while (first !== undefined && !this.#isCurrent(first)) {
      this.#waiting.take()
      first = this.#waiting.first()
    }
    return first
  }

  take(): Entry | undefined {
    const first = this.first()
    if (first !== undefined) this.#waiting.take()
    return first
  }

  /**
   * Lets go of entries that are out of date when most are such, so that each removal costs O(log n) on average.
   *
   * @param current how many entries there are that are not
   */
  forgetOutdated(current: number): void {
    for (const entries of [this.#waiting, this.#scheduled]) {
      if (entries.size > 2 * current + MIN_OUTDATED) entries.retain(this.#isCurrent)
    }
  }

  private promote(): void {
    if (this.#scheduled.size === 0) return
    const now = new Date()
    for (let next = this.#scheduled.first(); next && next.task.dueDate <= now; next = this.#scheduled.first()) {
      this.#scheduled.take()
      if (this.#isCurrent(next)) this.add(next)
    }
  }
}

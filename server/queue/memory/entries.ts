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
  /**
   * Of a task that is tried again after a delay: when, on performance.now, so that setting the clock changes nothing.
   */
  dueAt?: number
}

/** In fewer it is not worth the while to look for entries that are out of date. */
const MIN_OUTDATED = 16

/** The entries that are waiting or scheduled, in order. Those that are out of date are skipped when they come up. */
export class QueuedEntries {
  readonly #waiting = new PriorityQueue<Entry>((a, b) => compareTasks(a.task, b.task))
  readonly #scheduled = new PriorityQueue<Entry>((a, b) => Number(a.task.dueDate) - Number(b.task.dueDate))
  readonly #retried = new PriorityQueue<Entry>((a, b) => (a.dueAt ?? 0) - (b.dueAt ?? 0))
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
    const isDue = waitOf(entry) <= 0
    const state = isDue ? 'waiting' : 'scheduled'
    if (entry.task.state !== state) entry.task = { ...entry.task, state }
    if (isDue) this.#waiting.add(entry)
    else (entry.dueAt === undefined ? this.#scheduled : this.#retried).add(entry)
  }

  /**
   * Milliseconds until the next of those that are not due is, unless it has been removed; Infinity if there is none.
   */
  get nextDueIn(): number {
    const [scheduled, retried] = [this.#scheduled.first(), this.#retried.first()]
    return Math.min(
      scheduled === undefined ? Infinity : waitOf(scheduled),
      retried === undefined ? Infinity : waitOf(retried),
    )
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
    for (const entries of [this.#waiting, this.#scheduled, this.#retried]) {
      if (entries.size > 2 * current + MIN_OUTDATED) entries.retain(this.#isCurrent)
    }
  }

  private promote(): void {
    for (const entries of [this.#scheduled, this.#retried]) {
      for (let next = entries.first(); next && waitOf(next) <= 0; next = entries.first()) {
        entries.take()
        if (this.#isCurrent(next)) this.add(next)
      }
    }
  }
}

/** Milliseconds until the task is due; 0 or less when it is. */
function waitOf({ dueAt, task }: Entry): number {
  return dueAt === undefined ? Number(task.dueDate) - Date.now() : dueAt - performance.now()
}

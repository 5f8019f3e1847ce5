import type { Task } from '../../common/task'
import type { Cancelled } from './claim'

/** What is to be known of a task that was added. */
export type Nudge = Pick<Task, '_id' | 'taskType' | 'priority' | 'dueDate'>

/** What the dispatcher of this process wants to hear. */
export interface WakeUpListener {
  /** A persistent task was added, or retried by hand. */
  nudged(task: Nudge): void
  /** An in-memory task was: the database needs not be asked. */
  nudgedInMemory?(task: Nudge): void
  /** Stores this new task already claimed, if it can be run here at once. @returns whether it did (rejects with the database's error) */
  take?(task: Task): Promise<boolean>
  /** This task was cancelled in this process. */
  cancelled(what: Cancelled): void
}

/**
 * Hints that there may be something to do now, so that nobody waits for the next tick. A hint is never the truth, and
 * nothing is lost when nobody listens.
 */
export class WakeUp {
  #listener: WakeUpListener | undefined

  /** One listener: the dispatcher of this process. */
  listen(listener: WakeUpListener): void {
    this.#listener = listener
  }

  async take(task: Task): Promise<boolean> {
    return (await this.#listener?.take?.(task)) ?? false
  }

  nudge(task: Nudge): void {
    this.#listener?.nudged(task)
  }

  nudgeInMemory(task: Nudge): void {
    this.#listener?.nudgedInMemory?.(task)
  }

  cancelled(what: Cancelled): void {
    this.#listener?.cancelled(what)
  }
}

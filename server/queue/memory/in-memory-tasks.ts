import type { Task } from '../../../common/task'

/**
 * `TaskQueue.inMemory`: reads and removes the tasks that this master keeps in memory. Every task is returned as a copy.
 */
export interface InMemoryTasks {
  /** The task with this `_id`, or undefined. Throws InvalidArgumentError for an invalid `_id`. */
  findById(_id: string): Task | undefined
  /**
   * Removes a task and returns it, or undefined. A running task is removed too: its job is aborted, and its result is
   * discarded. Throws InvalidArgumentError for an invalid `_id`.
   */
  removeById(_id: string): Task | undefined
  /** All tasks, in the order in which they run. */
  tasks(): Task[]
  /** The tasks that could start now, waiting and due, in the order in which they run. */
  availableTasks(): Task[]
}

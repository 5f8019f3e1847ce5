import type { Task } from '../../../common/task'

/** `TaskQueue.inMemory`: looks at the tasks that this master keeps in memory. Every task is given as a copy. */
export interface InMemoryTasks {
  /** The task with this `_id`, or undefined. Throws InvalidArgumentError for what is no `_id`. */
  findById(_id: string): Task | undefined
  /**
   * Removes a task and gives it back, or undefined. A running one is removed too, and its job ends without harm.
   * Throws InvalidArgumentError for what is no `_id`.
   */
  removeById(_id: string): Task | undefined
  /** All tasks, in the order in which they run. */
  tasks(): Task[]
  /** The tasks that could start now, waiting and due, in the order in which they run. */
  availableTasks(): Task[]
}

import type { Task, TaskSignal } from '../../common/task'
import type { Cancellation } from './claim'

/** Hears what this process does to the queue: the master itself or, in a worker, its link to the master. */
export interface QueueListener {
  /** Persistent tasks were added. */
  tasksAdded(tasks: readonly TaskSignal[]): void
  /** A failed or cancelled persistent task was started anew. */
  taskRetried(task: TaskSignal): void
  /**
   * Stores this new task already claimed, if a worker could start it at once and before all others.
   *
   * @returns false when it was not stored
   * @throws as `TaskQueue.addTask` (rejects)
   */
  addClaimed(task: Task): Promise<boolean>
  /** `TaskQueue.cancel` cancelled a task, or asked the holder of its claim to cancel it. */
  taskCancelled(cancellation: Cancellation): void
  /** `TaskQueue.pause` or `TaskQueue.resume` was called. */
  typePaused(taskType: string, isPaused: boolean): void
}

/** A QueueListener that is a master. */
export interface MasterListener extends QueueListener {
  /** In-memory tasks were added. */
  inMemoryTasksAdded(tasks: readonly TaskSignal[]): void
  /** A failed or cancelled in-memory task was started anew. */
  inMemoryTaskRetried(): void
  /** @param token set if the task was running */
  inMemoryTaskRemoved(task: Task, token: string | undefined): void
  /** A schedule was paused or resumed. */
  schedulesChanged(): void
}

/**
 * Hints that there may be work, so that no task waits for the next tick. A hint may be lost or wrong: whoever gets one
 * checks the queue.
 */
export class Signals {
  #listener: QueueListener | undefined
  #master: MasterListener | undefined

  /** In a worker: `listener` passes the signals on to its master. */
  passOn(listener: QueueListener): void {
    this.#listener = listener
  }

  listenAsMaster(master: MasterListener): void {
    this.#listener = master
    this.#master = master
  }

  get master(): MasterListener | undefined {
    return this.#master
  }

  /** Without a cluster in this process, returns false; else as `QueueListener.addClaimed`. */
  async addClaimed(task: Task): Promise<boolean> {
    return (await this.#listener?.addClaimed(task)) ?? false
  }

  tasksAdded(tasks: readonly TaskSignal[]): void {
    if (tasks.length > 0) this.#listener?.tasksAdded(tasks)
  }

  taskRetried(task: TaskSignal): void {
    this.#listener?.taskRetried(task)
  }

  taskCancelled(cancellation: Cancellation): void {
    this.#listener?.taskCancelled(cancellation)
  }

  typePaused(taskType: string, isPaused: boolean): void {
    this.#listener?.typePaused(taskType, isPaused)
  }
}

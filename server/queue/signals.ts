import type { Task, TaskSignal } from '../../common/task'
import type { Cancellation } from './claim'

/** What happens to the queue in this process, for its master, or for the master of this worker. */
export interface QueueListener {
  /** A persistent task was added, or started anew. */
  taskAdded(task: TaskSignal): void
  /** `TaskQueue.cancel` cancelled a task, or asked the holder of its claim to. */
  taskCancelled(cancellation: Cancellation): void
}

/** A QueueListener that is a master. */
export interface MasterListener extends QueueListener {
  /** An in-memory task was added, or started anew. */
  inMemoryTaskAdded(task: TaskSignal): void
  /** An in-memory task was removed while it was running. */
  inMemoryTaskRemoved(token: string): void
  /** Whether a worker of this master could start this new task at once, before all others. */
  canStartNow(task: Task): boolean
  /** Stores a new task already claimed. @throws as `TaskQueue.addTask` (rejects) */
  addClaimed(task: Task): Promise<void>
}

/**
 * Hints that there may be work, so that nobody waits for the next tick. A hint is never the truth, always re-checked,
 * and may be lost.
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

  taskAdded(task: TaskSignal): void {
    this.#listener?.taskAdded(task)
  }

  taskCancelled(cancellation: Cancellation): void {
    this.#listener?.taskCancelled(cancellation)
  }
}

import type { Awaited, Ending, Incarnation } from '../../common/ending'
import { DuplicateTaskError } from '../../common/errors'
import type { Task, TaskSignal } from '../../common/task'
import type { MemoryQueue } from './memory/memory-queue'
import { add, addAll } from './mongo/add'
import { endingsOf, markAwaited } from './mongo/awaited'
import { cancelTask, startAnew } from './mongo/cancel'
import type { RawCollection } from './mongo/schema'
import type { EndStore } from './results/waiters'
import type { Retention } from './retention'
import type { Signals } from './signals'

export interface QueueParts {
  readonly memory: MemoryQueue
  readonly retention: Retention
  readonly signals: Signals
  /** The documents of the persistent tasks. */
  readonly tasks: () => RawCollection
}

/** Both queues of this process. Whatever it changes, it signals to the master. */
export class Queue implements EndStore {
  readonly #parts: QueueParts

  constructor(parts: QueueParts) {
    this.#parts = parts
  }

  /** @throws DuplicateTaskError, or WrongProcessError as `MemoryQueue.add` (rejects) */
  async add(task: Task, inMemory: boolean): Promise<void> {
    if (!inMemory) await this.addPersistent(task)
    else if (this.addInMemory([task]).length > 0) throw new DuplicateTaskError([task._id])
  }

  /**
   * @returns the `_id`s that were taken; all other tasks are added
   * @throws WrongProcessError (rejects) as `MemoryQueue.add`; nothing is added then
   */
  async addAll(persistent: readonly Task[], inMemory: readonly Task[]): Promise<string[]> {
    const { memory, signals, tasks } = this.#parts
    // Invariant 12: all checks come before the first write, so that nothing is stored when one fails.
    if (inMemory.length > 0) memory.checkOpen()
    const taken = await addAll(persistent, tasks())
    for (const task of firstOfEachType(without(taken, persistent))) signals.taskAdded(task)
    return [...taken, ...this.addInMemory(inMemory)]
  }

  /** @returns whether there was such an unfinished task */
  async cancel(_id: string): Promise<boolean> {
    const { memory, retention, signals, tasks } = this.#parts
    const cancellation = memory.cancel(_id) ?? (await cancelTask(tasks(), _id, retention))
    if (cancellation !== undefined) signals.taskCancelled(cancellation)
    return cancellation !== undefined
  }

  /** @returns whether there was such a failed or cancelled task */
  async startAnew(_id: string): Promise<boolean> {
    const { memory, signals, tasks } = this.#parts
    const inMemory = memory.startAnew(_id)
    if (inMemory !== undefined) {
      signals.master?.inMemoryTaskAdded(inMemory)
      return true
    }
    const task = await startAnew(tasks(), _id)
    if (task !== undefined) signals.taskAdded(task)
    return task !== undefined
  }

  /** Has the end of a task kept, for somebody who waits. @returns undefined when there is no such task */
  async markAwaited(_id: string): Promise<Awaited | undefined> {
    return this.#parts.memory.markAwaited(_id) ?? markAwaited(this.#parts.tasks(), _id)
  }

  async endingsOf(awaited: readonly Incarnation[]): Promise<(Ending | undefined)[]> {
    const { memory, tasks } = this.#parts
    const inMemory = new Map(awaited.map(task => [task, memory.endingOf(task)]))
    const others = awaited.filter(task => inMemory.get(task) === undefined)
    const found = others.length === 0 ? [] : await endingsOf(tasks(), others)
    const persistent = new Map(others.map((task, index) => [task, found[index]]))
    return awaited.map(task => {
      const ending = inMemory.get(task) ?? persistent.get(task)
      return ending === 'unended' ? undefined : ending
    })
  }

  /** @returns and throws as `MemoryQueue.add` */
  private addInMemory(tasks: readonly Task[]): string[] {
    if (tasks.length === 0) return []
    const { memory, signals } = this.#parts
    const duplicates = memory.add(tasks)
    for (const task of firstOfEachType(without(duplicates, tasks))) signals.master?.inMemoryTaskAdded(task)
    return duplicates
  }

  /**
   * An idle master stores the task already claimed, also when one of its workers adds it. The job then starts after one
   * write instead of two.
   */
  private async addPersistent(task: Task): Promise<void> {
    const { signals, tasks } = this.#parts
    if (await signals.addClaimed(task)) return
    await add(task, tasks())
    signals.taskAdded(task)
  }
}

function without(ids: readonly string[], tasks: readonly Task[]): readonly Task[] {
  const excluded = new Set(ids)
  return tasks.filter(({ _id }) => !excluded.has(_id))
}

/** For each type: the due task with the highest priority, and the earliest of the scheduled tasks. */
function firstOfEachType(tasks: readonly Task[]): Iterable<TaskSignal> {
  const first = new Map<string, Task>()
  for (const task of tasks) {
    const { dueDate, priority, state, taskType } = task
    const known = first.get(state + taskType)
    const isFirst = known === undefined || (state === 'scheduled' ? dueDate < known.dueDate : priority > known.priority)
    if (isFirst) first.set(state + taskType, task)
  }
  return first.values()
}

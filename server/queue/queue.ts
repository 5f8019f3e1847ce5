import diagnostics from 'node:diagnostics_channel'
import type { Awaited, Ending, Incarnation } from '../../common/ending'
import { DuplicateTaskError } from '../../common/errors'
import type { Task } from '../../common/task'
import type { Cancellation } from './claim'
import type { MemoryQueue } from './memory/memory-queue'
import { add, addAll } from './mongo/add'
import { endingsOf, markAwaited } from './mongo/awaited'
import { cancelTask, startAnew } from './mongo/cancel'
import { type PauseCollection, pauseType, resumeType } from './mongo/pauses'
import type { RawCollection } from './mongo/documents/schema'
import type { EndStore } from './results/waiters'
import type { Retention } from './retention'
import type { Signals } from './signals'

export interface QueueParts {
  readonly memory: MemoryQueue
  /** The documents of the paused types. */
  readonly pauses: () => PauseCollection
  readonly retention: Retention
  readonly signals: Signals
  /** The documents of the persistent tasks. */
  readonly tasks: () => RawCollection
}

/** For tracing: gets `{ task }` in the process and the asynchronous context of the call, before the task is stored. */
const ADD = diagnostics.channel('nschwarz:cluster:add')

/** What the helpers for applications' tests do when tasks are added. */
export interface AddHooks {
  readonly added: (tasks: readonly Task[]) => void
  /** Resolves when the tasks that are due have run, if whoever adds tasks is to wait for that. */
  readonly idle: () => Promise<void>
}

/** Both queues of this process. Whatever it changes, it signals to the master. */
export class Queue implements EndStore {
  /** Set by the helpers for applications' tests. */
  hooks: AddHooks | undefined
  readonly #parts: QueueParts

  constructor(parts: QueueParts) {
    this.#parts = parts
  }

  /** @throws DuplicateTaskError, or WrongProcessError as `MemoryQueue.add` (rejects) */
  async add(task: Task, inMemory: boolean): Promise<void> {
    await this.store(task, inMemory)
    await this.hooks?.idle()
  }

  /** As `add`, but does not wait for the task to run in an application's test. */
  async store(task: Task, inMemory: boolean): Promise<void> {
    if (ADD.hasSubscribers) ADD.publish({ task })
    if (!inMemory) await this.addPersistent(task)
    else if (this.addInMemory([task]).length > 0) throw new DuplicateTaskError([task._id])
    this.hooks?.added([task])
  }

  /**
   * @returns the `_id`s that were taken; all other tasks are added
   * @throws WrongProcessError (rejects) as `MemoryQueue.add`; nothing is added then
   */
  async addAll(persistent: readonly Task[], inMemory: readonly Task[]): Promise<string[]> {
    const { memory, signals, tasks } = this.#parts
    if (ADD.hasSubscribers) for (const task of [...persistent, ...inMemory]) ADD.publish({ task })
    // Invariant 12: all checks come before the first write, so that nothing is stored when one fails.
    if (inMemory.length > 0) memory.checkOpen()
    const taken = await addAll(persistent, tasks())
    signals.tasksAdded(without(taken, persistent))
    const duplicates = [...taken, ...this.addInMemory(inMemory)]
    this.hooks?.added(without(duplicates, [...persistent, ...inMemory]))
    await this.hooks?.idle()
    return duplicates
  }

  /** @returns whether there was such an unfinished task */
  async cancel(_id: string): Promise<boolean> {
    const { memory, retention, tasks } = this.#parts
    return this.signalCancelled(memory.cancel(_id) ?? (await cancelTask(tasks(), { _id }, retention)))
  }

  /** As `cancel`, but leaves other tasks of the same `_id` alone. */
  async cancelOnly(task: Incarnation): Promise<boolean> {
    const { memory, retention, tasks } = this.#parts
    const { _id, createdAt, sequence } = task
    const inMemory = memory.endingOf(task) === 'unended' ? memory.cancel(_id) : undefined
    return this.signalCancelled(inMemory ?? (await cancelTask(tasks(), { _id, createdAt, sequence }, retention)))
  }

  /** @returns whether there was such a failed or cancelled task */
  async startAnew(_id: string): Promise<boolean> {
    const { memory, signals, tasks } = this.#parts
    const inMemory = memory.startAnew(_id)
    if (inMemory !== undefined) {
      signals.master?.inMemoryTaskRetried()
      return true
    }
    const task = await startAnew(tasks(), _id)
    if (task !== undefined) signals.taskRetried(task)
    return task !== undefined
  }

  /** @returns whether the type was not paused before */
  async pause(taskType: string): Promise<boolean> {
    const isNew = await pauseType(this.#parts.pauses(), taskType)
    this.#parts.signals.typePaused(taskType, true)
    return isNew
  }

  /** @returns whether the type was paused */
  async resume(taskType: string): Promise<boolean> {
    const wasPaused = await resumeType(this.#parts.pauses(), taskType)
    this.#parts.signals.typePaused(taskType, false)
    return wasPaused
  }

  /** Has the end of a task kept, for somebody who waits. @returns undefined when this queue has no such task */
  async markAwaited(_id: string, inMemory: boolean): Promise<Awaited | undefined> {
    return inMemory ? this.#parts.memory.markAwaited(_id) : markAwaited(this.#parts.tasks(), _id)
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

  private signalCancelled(cancellation: Cancellation | undefined): boolean {
    if (cancellation !== undefined) this.#parts.signals.taskCancelled(cancellation)
    return cancellation !== undefined
  }

  /** @returns and throws as `MemoryQueue.add` */
  private addInMemory(tasks: readonly Task[]): string[] {
    if (tasks.length === 0) return []
    const { memory, signals } = this.#parts
    const duplicates = memory.add(tasks)
    signals.master?.inMemoryTasksAdded(without(duplicates, tasks))
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
    signals.tasksAdded([task])
  }
}

function without(ids: readonly string[], tasks: readonly Task[]): readonly Task[] {
  const excluded = new Set(ids)
  return tasks.filter(({ _id }) => !excluded.has(_id))
}

import { isThenable, messageOf, quote } from '../../../common/inspect'
import type { Log } from '../../../common/log'
import { inOwnContext } from '../../../common/own-context'
import { copyFields } from '../../../common/plain'
import { type WireValue, fromWire } from '../../../common/pipe/wire'
import type { WorkerExit } from '../../../common/stats'
import { type Task, type TaskSignal, copyTask } from '../../../common/task'
import type { Listeners, TaskEventListener, TaskEvents, TaskEventType } from '../../queue/listeners'
import { cancelled, doneWith } from '../../queue/results/ending'
import type { Waiters } from '../../queue/results/waiters'
import { CANCELLED, failureCause, finalEntry } from './job-log'

const NAME_REFUSED_EVERY_MS = 3_600_000

/**
 * Reports how tasks end to those who wait for it, emits events to the application's listeners, and logs what listeners
 * throw or reject with.
 */
export class Events {
  readonly #listeners: Listeners
  readonly #waiters: Waiters
  readonly #log: Log
  /** When refusals were logged (performance.now), by the `_id`s of the tasks. */
  readonly #refusals = new Map<string, number>()

  constructor(listeners: Listeners, waiters: Waiters, log: Log) {
    this.#listeners = listeners
    this.#waiters = waiters
    this.#log = log
  }

  /** A task is done. @returns as `emit` */
  emitDone(task: Task, value: WireValue): Promise<void> | undefined {
    this.#waiters.ended(task, () => doneWith(value))
    return this.emit('done', { value: fromWire(value), task })
  }

  /** A task has failed for good. @returns as `emit` */
  emitFailed(task: Task, error: Error): Promise<void> | undefined {
    this.#waiters.ended(task, () => ({ kind: 'failed', error }))
    return this.emit('error', { value: error, task })
  }

  /** A task was cancelled. @returns as `emit` */
  emitCancelled(task: Task): Promise<void> | undefined {
    this.#log.task(task, CANCELLED)
    this.#waiters.ended(task, cancelled)
    return this.emit('cancelled', { task })
  }

  /** Reports a task that cannot be run, because other code wrote its document. The task has failed. */
  emitPoisoned(task: Task, error: Error): void {
    this.#log.task(task, finalEntry(failureCause(error), 0))
    void this.emitFailed(task, error)
  }

  /** Logged once an hour for each task: the change is tried again at each occasion. */
  taskRefused(_id: string, error: unknown): void {
    const now = performance.now()
    for (const [refused, since] of this.#refusals) {
      if (now - since > NAME_REFUSED_EVERY_MS) this.#refusals.delete(refused)
    }
    if (this.#refusals.has(_id)) return
    this.#refusals.set(_id, now)
    this.#log.error(`the task ${quote(_id)} cannot be changed, and stays as it is until it can: ${messageOf(error)}`)
  }

  /** Tasks were added, by this process or by one of its workers. */
  emitAdded(tasks: readonly TaskSignal[]): void {
    if (!this.#listeners.has('added')) return
    for (const { _id, dueDate, priority, taskType } of tasks) {
      for (const listener of this.#listeners.of('added', taskType)) {
        void this.call(listener, 'added', { task: { _id, taskType, priority, dueDate: new Date(dueDate) } })
      }
    }
  }

  emitStarted(task: Task): void {
    void this.emit('start', { task })
  }

  emitWorkerExit(exit: WorkerExit): void {
    for (const listener of this.#listeners.of('workerExit')) void this.call(listener, 'workerExit', { ...exit })
  }

  /**
   * Each listener gets its own copy of the event, except for an error. Only the single listener of a done task gets the
   * task itself, since nothing else uses it any more.
   *
   * @returns a promise, which never rejects, if a listener has not finished yet
   */
  emit<Type extends TypeWithTask>(type: Type, event: TaskEvents[Type]): Promise<void> | undefined {
    const listeners = this.#listeners.of(type, event.task.taskType)
    if (listeners.length === 0) return undefined
    const isOwn = type === 'done' && listeners.length === 1
    const pending = listeners.flatMap(
      listener => this.call(listener, type, isOwn ? event : copyOf(event), event.task) ?? [],
    )
    return pending.length === 0 ? undefined : Promise.all(pending).then(() => undefined)
  }

  private call<Type extends TaskEventType>(
    listener: TaskEventListener<Type>,
    type: Type,
    event: TaskEvents[Type],
    task?: Task,
  ): Promise<void> | undefined {
    try {
      const answer = inOwnContext(() => listener(event))
      return isThenable(answer) ? this.await(type, task, answer) : undefined
    } catch (thrown) {
      // Invariant 3: what a listener throws stops nothing.
      this.logFailure(type, task, thrown)
      return undefined
    }
  }

  private async await(type: TaskEventType, task: Task | undefined, answer: PromiseLike<unknown>): Promise<void> {
    try {
      await answer
    } catch (thrown) {
      this.logFailure(type, task, thrown)
    }
  }

  private logFailure(type: TaskEventType, task: Task | undefined, thrown: unknown): void {
    const text = `the '${type}' listener threw`
    if (task === undefined) this.#log.error(text, thrown)
    else this.#log.taskError(task, text, thrown)
  }
}

function copyOf<Event extends { readonly task: Task }>(event: Event): Event {
  const { task, ...others } = event
  return { ...copyFields(others), task: copyTask(task) } as unknown as Event
}

/** The events about a task that this master runs or has run. */
type TypeWithTask = Exclude<TaskEventType, 'added' | 'workerExit'>

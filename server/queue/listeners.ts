import { InvalidArgumentError, WrongProcessError } from '../../common/errors'
import type { Task } from '../../common/task'
import { role } from '../role'

/** What the listeners are told, by event type: on the master that ran the task. */
export interface TaskEvents {
  /** The task's function returned or resolved: `value` is its result. The task is no longer in the queue. */
  readonly done: { readonly value: unknown; readonly task: Task }
  /** The last attempt failed: `value` is its error. The task stays in the queue, `failed`. */
  readonly error: { readonly value: Error; readonly task: Task }
  /** An attempt failed, with retries left: `value` is its error. The task is due again at its `dueDate`. */
  readonly retry: { readonly value: Error; readonly task: Task }
  /** This master lost the lease of a task that it was running: another may run it now. The job is aborted. */
  readonly stalled: { readonly task: Task }
  /** The task was cancelled; one that was not running, on the master on which `cancel` was called. */
  readonly cancelled: { readonly task: Task }
}

export type TaskEventType = keyof TaskEvents
export type TaskEventListener<Type extends TaskEventType> = (event: TaskEvents[Type]) => unknown

const TYPES: readonly TaskEventType[] = ['done', 'error', 'retry', 'stalled', 'cancelled']

/** At most one listener for each event type; the last one set wins. */
export class Listeners {
  readonly #listeners = new Map<TaskEventType, (event: never) => unknown>()

  set<Type extends TaskEventType>(type: Type, listener: TaskEventListener<Type>): void {
    checkType('addEventListener', type)
    if (typeof listener !== 'function') {
      throw new InvalidArgumentError('addEventListener.callback', listener, 'a function')
    }
    this.#listeners.set(type, listener)
  }

  remove(type: TaskEventType): void {
    checkType('removeEventListener', type)
    this.#listeners.delete(type)
  }

  get<Type extends TaskEventType>(type: Type): TaskEventListener<Type> | undefined {
    return this.#listeners.get(type) as TaskEventListener<Type> | undefined
  }
}

function checkType(method: string, type: unknown): void {
  if (role === 'worker') {
    throw new WrongProcessError(`TaskQueue.${method} works on the master only; events are told there, not in workers.`)
  }
  if (!TYPES.some(known => known === type)) {
    throw new InvalidArgumentError(`${method}.eventType`, type, TYPES.map(known => `'${known}'`).join(' or '))
  }
}

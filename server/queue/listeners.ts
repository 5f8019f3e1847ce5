import { WrongProcessError } from '../../common/errors'
import { checkNames, nameHint, namesOf, wrongValue } from '../../common/invalid'
import { isPlainObject } from '../../common/plain'
import { type Task, checkText } from '../../common/task'
import { role } from '../role'

/**
 * The payload of each event type. Events fire on the master that ran the task, at most once. If that master dies after
 * it has written the outcome, no listener hears of it.
 */
export interface TaskEvents {
  /** The task function has called `context.progress`: `value` is what it gave last. */
  readonly progress: { readonly value: unknown; readonly task: Task }
  /** The task function returned or resolved: `value` is its result. The task is no longer in the queue. */
  readonly done: { readonly value: unknown; readonly task: Task }
  /** The last attempt failed: `value` is its error. The task stays in the queue as `failed`. */
  readonly error: { readonly value: Error; readonly task: Task }
  /** An attempt failed, and retries are left: `value` is its error. The task is due again at its `dueDate`. */
  readonly retry: { readonly value: Error; readonly task: Task }
  /** This master lost the lease of a task that it was running: another master may run it now. The job is aborted. */
  readonly stalled: { readonly task: Task }
  /** The task was cancelled. If it was not running, the event fires on the master on which `cancel` was called. */
  readonly cancelled: { readonly task: Task }
}

export type TaskEventType = keyof TaskEvents
export type TaskEventListener<Type extends TaskEventType> = (event: TaskEvents[Type]) => unknown

const TYPES = namesOf<TaskEventType>({
  progress: true,
  done: true,
  error: true,
  retry: true,
  stalled: true,
  cancelled: true,
})

/** Selects which events of a type a listener receives. */
export interface ListenerOptions {
  /** Only those of tasks of this type. Default: of all. */
  readonly taskType?: string
}

/** The tasks whose events a listener receives: all tasks, or those of these types. */
type TaskTypes = Set<string> | 'all'

/** The application's event listeners. The same function is called once for an event, however often it was added. */
export class Listeners {
  readonly #listeners = new Map<TaskEventType, Map<(event: never) => unknown, TaskTypes>>()

  /** @throws InvalidArgumentError, or WrongProcessError in a worker */
  add<Type extends TaskEventType>(type: Type, listener: TaskEventListener<Type>, options: ListenerOptions = {}): void {
    checkType('addEventListener', type)
    checkListener('addEventListener', listener)
    const { taskType } = checkOptions(options)
    const ofType = this.#listeners.get(type) ?? new Map<(event: never) => unknown, TaskTypes>()
    this.#listeners.set(type, ofType)
    const known = ofType.get(listener)
    const isForAll = taskType === undefined || known === 'all'
    ofType.set(listener, isForAll ? 'all' : new Set(known).add(taskType))
  }

  /** @param listener default: all of this event type @throws as `add` */
  remove<Type extends TaskEventType>(type: Type, listener?: TaskEventListener<Type>): void {
    checkType('removeEventListener', type)
    if (listener === undefined) this.#listeners.delete(type)
    else {
      checkListener('removeEventListener', listener)
      this.#listeners.get(type)?.delete(listener)
    }
  }

  /** The listeners for an event about a task of this `taskType`, in the order in which they were added. */
  of<Type extends TaskEventType>(type: Type, taskType: string): TaskEventListener<Type>[] {
    const found: TaskEventListener<Type>[] = []
    for (const [listener, types] of this.#listeners.get(type) ?? []) {
      if (types === 'all' || types.has(taskType)) found.push(listener as TaskEventListener<Type>)
    }
    return found
  }
}

function checkType(method: string, type: unknown): void {
  if (role === 'worker') {
    throw new WrongProcessError(
      `TaskQueue.${method} works on the master only, and this is a worker, which loads the server's code too; ` +
        'call it inside `if (Cluster.isMaster())`, or in a file that only the master imports (not one that Meteor ' +
        'loads by itself: put it into an `imports` folder).',
    )
  }
  if (typeof type === 'string' && TYPES.includes(type)) return
  throw wrongValue(
    `${method}.eventType`,
    type,
    TYPES.map(known => `'${known}'`).join(', '),
    nameHint(type, TYPES, known => `'${known}'`),
  )
}

function checkListener(method: string, listener: unknown): void {
  if (typeof listener !== 'function') throw wrongValue(`${method}.listener`, listener, 'a function')
}

function checkOptions(options: unknown): ListenerOptions {
  if (!isPlainObject(options)) {
    const hint = typeof options === 'string' ? `Use { taskType: '${options}' }.` : ''
    throw wrongValue('addEventListener.options', options, 'an object { taskType }', hint)
  }
  checkNames('addEventListener.options.', options, 'option', ['taskType'])
  if (options.taskType !== undefined) checkText('addEventListener.options.taskType', options.taskType)
  return options
}

import { WrongProcessError } from '../../common/errors'
import { checkNames, nameHint, namesOf, wrongValue } from '../../common/invalid'
import { isPlainObject } from '../../common/plain'
import type { DataOf, ResultOf } from '../../common/register'
import type { WorkerExit } from '../../common/stats'
import { type AddedTask, type Task, checkText } from '../../common/task'
import { role } from '../role'

/**
 * The payload of each event type. Events fire on the master, at most once: those of a job on the master that ran it. If
 * that master dies after it has written the outcome, no listener hears of it.
 */
export interface TaskEvents<Value = unknown, Data = unknown> {
  /** A task was added, by this process or by one of its workers. */
  readonly added: { readonly task: AddedTask }
  /** A task function is about to be called. */
  readonly start: { readonly task: Task<Data> }
  /** The task function has called `context.progress`: `value` is what it gave last. */
  readonly progress: { readonly value: unknown; readonly task: Task<Data> }
  /** The task function returned or resolved: `value` is its result. The task has left the queue, unless it is kept. */
  readonly done: { readonly value: Value; readonly task: Task<Data> }
  /** The last attempt failed: `value` is its error. The task stays in the queue as `failed`. */
  readonly error: { readonly value: TaskError; readonly task: Task<Data> }
  /** An attempt failed, and retries are left: `value` is its error. The task is due again at its `dueDate`. */
  readonly retry: { readonly value: TaskError; readonly task: Task<Data> }
  /** This master lost the lease of a task that it was running: another master may run it now. The job is aborted. */
  readonly stalled: { readonly task: Task<Data> }
  /** The task was cancelled. If it was not running, the event fires on the master on which `cancel` was called. */
  readonly cancelled: { readonly task: Task<Data> }
  /** The process of a worker is gone. */
  readonly workerExit: WorkerExit
}

/** What a task has thrown. */
export type TaskError = Error & { readonly code?: string | number }

export type TaskEventType = keyof TaskEvents
/** `Type`: the type of the tasks, if the listener is for one type only. */
export type TaskEventListener<Event extends TaskEventType, Type extends string = string> = (
  event: TaskEvents<ResultOf<Type>, DataOf<Type>>[Event],
) => unknown

const TYPES = namesOf<TaskEventType>({
  added: true,
  start: true,
  progress: true,
  done: true,
  error: true,
  retry: true,
  stalled: true,
  cancelled: true,
  workerExit: true,
})

/** Selects which events of a type a listener receives. */
export interface ListenerOptions<Type extends string = string> {
  /** Only those of tasks of this type. Default: of all. Not for `workerExit`. */
  readonly taskType?: Type
}

/** How a listener was added. `taskType`: undefined for all. */
interface Registration {
  readonly taskType: string | undefined
  readonly by: 'on' | 'addEventListener'
}

type AnyListener = (event: never) => unknown

/** The application's event listeners. The same function is called once for an event, however often it was added. */
export class Listeners {
  /** Set by the helpers for applications' tests: calls a listener. */
  within: ((call: () => unknown) => unknown) | undefined
  readonly #listeners = new Map<TaskEventType, Map<AnyListener, Set<Registration>>>()

  /**
   * @returns removes what this call has added
   * @throws InvalidArgumentError, or WrongProcessError in a worker
   */
  add<Type extends TaskEventType>(
    type: Type,
    listener: TaskEventListener<Type>,
    options: ListenerOptions = {},
    by: Registration['by'] = 'on',
  ): () => void {
    checkType(by, type)
    checkListener(by, listener)
    const registration: Registration = { by, taskType: checkOptions(by, type, options).taskType }
    const ofType = this.#listeners.get(type) ?? new Map<AnyListener, Set<Registration>>()
    this.#listeners.set(type, ofType)
    ofType.set(listener, (ofType.get(listener) ?? new Set()).add(registration))
    return () => removeFrom(ofType, listener, other => other === registration)
  }

  /** Removes what `addEventListener` has added. @param listener default: all of this event type @throws as `add` */
  remove<Type extends TaskEventType>(type: Type, listener?: TaskEventListener<Type>): void {
    checkType('removeEventListener', type)
    if (listener !== undefined) checkListener('removeEventListener', listener)
    const ofType = this.#listeners.get(type) ?? new Map<AnyListener, Set<Registration>>()
    for (const known of listener === undefined ? [...ofType.keys()] : [listener]) {
      removeFrom(ofType, known, ({ by }) => by === 'addEventListener')
    }
  }

  /** Whether anybody listens for events of this type. */
  has(type: TaskEventType): boolean {
    return (this.#listeners.get(type)?.size ?? 0) > 0
  }

  /**
   * The listeners for an event, in the order in which they were added.
   *
   * @param taskType of the task that the event is about, if it is about one
   */
  of<Type extends TaskEventType>(type: Type, taskType?: string): TaskEventListener<Type>[] {
    const found: TaskEventListener<Type>[] = []
    for (const [listener, registrations] of this.#listeners.get(type) ?? []) {
      for (const registration of registrations) {
        if (registration.taskType !== undefined && registration.taskType !== taskType) continue
        found.push(this.wrapped(listener as TaskEventListener<Type>))
        break
      }
    }
    return found
  }

  private wrapped<Type extends TaskEventType>(listener: TaskEventListener<Type>): TaskEventListener<Type> {
    const { within } = this
    return within === undefined ? listener : event => within(() => listener(event))
  }
}

function removeFrom(
  ofType: Map<AnyListener, Set<Registration>>,
  listener: AnyListener,
  isRemoved: (registration: Registration) => boolean,
): void {
  const registrations = ofType.get(listener)
  for (const registration of registrations ?? []) if (isRemoved(registration)) registrations?.delete(registration)
  if (registrations?.size === 0) ofType.delete(listener)
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

function checkOptions(method: string, type: TaskEventType, options: unknown): ListenerOptions {
  if (!isPlainObject(options)) {
    const hint = typeof options === 'string' ? `Use { taskType: '${options}' }.` : ''
    throw wrongValue(`${method}.options`, options, 'an object { taskType }', hint)
  }
  checkNames(`${method}.options.`, options, 'option', ['taskType'])
  if (options.taskType === undefined) return options
  checkText(`${method}.options.taskType`, options.taskType)
  if (type === 'workerExit') {
    const allowed = "undefined for 'workerExit', since a worker runs tasks of all types"
    throw wrongValue(`${method}.options.taskType`, options.taskType, allowed, 'Leave it out.')
  }
  return options
}

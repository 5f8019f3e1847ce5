import type { InvalidArgumentError } from './errors'
import { createId } from './id'
import { isThenable, tagOf } from './inspect'
import { type TaskPolicy, checkPolicy } from './policy'
import { type PlainObject, type PlainValue, copyFields, copyPlain, isPlainObject } from './plain'
import { checkNames, dateHint, namesOf, numberHint, textHint, wrongValue } from './invalid'
import { toWellFormed } from './text'

/**
 * The state of a task. `scheduled`: due later. `waiting`: due, may be claimed. `running`: claimed by a master.
 * `failed`, `cancelled`: kept for `keepFailed`, or until it is retried or removed. `done`: kept for `keepDone`. Without
 * it, a task that is done is removed, unless somebody waits for its result (60 seconds), or it was taken over from a
 * master that may still be alive (a day). Then its `_id` may be used again.
 */
export type TaskState = 'scheduled' | 'waiting' | 'running' | 'failed' | 'cancelled' | 'done'

/** What a task function receives: the task as it was added. Dates are real Dates in both queues. */
export interface Job<Data = unknown> {
  readonly _id: string
  readonly taskType: string
  readonly data: Data
  /** Higher runs first. */
  readonly priority: number
  readonly createdAt: Date
  /** The task does not start before this date. A retry moves it. */
  readonly dueDate: Date
  /** The name of the schedule whose tick has added the task. */
  readonly schedule?: string
  /** The tick: the time at which the schedule was due. The same in every attempt. */
  readonly tickAt?: Date
}

/** A task in the queue: a document of the `taskQueue` collection, or an entry of the in-memory queue. */
export interface Task<Data = unknown> extends Job<Data>, TaskPolicy {
  readonly state: TaskState
  /** Tells apart tasks that one process created within the same millisecond. */
  readonly sequence: number
  /** How many attempts have started, including the current one. Default 0. */
  readonly attempts?: number
  /** How many attempts have failed since the task was added, or started anew with `TaskQueue.retry`. Default 0. */
  readonly failures?: number
  /** How many workers have died while they ran the task. Default 0. */
  readonly crashes?: number
  /**
   * Set when a worker died while it ran this task and others, or when several workers died before they had started it.
   * The task runs alone from then on, to find out whether it is to blame.
   */
  readonly isSuspect?: true
  /** The error of its last failed attempt. */
  readonly error?: TaskFailure
  /** The last value that the task function gave to `context.progress`. */
  readonly progress?: unknown
  /** What the task function gave to `context.log`: the last 200 lines, 64 KB at most, of all attempts. */
  readonly log?: readonly LogLine[]
  /** Who may follow the task: see `TaskQueue.findFor`. */
  readonly audience?: string | readonly string[]
  /** Milliseconds for which its `_id` stays taken once the task has ended: only on a task that a schedule has added. */
  readonly idHeldFor?: number
  /** Only on a cancelled task. */
  readonly cancelledAt?: Date
  /** What the function returned: only on a done task that is kept. */
  readonly result?: unknown
  /** When the last attempt started: only on a task that has ended and is kept. */
  readonly startedAt?: Date
  /** When it became done, failed or cancelled. */
  readonly endedAt?: Date
  /**
   * Somebody waits for its result, or has waited until it ended. Such a task is kept for 60 seconds when it has ended.
   */
  readonly awaited?: 'result' | 'ended'
  /** `TaskQueue.run` has added it, called in a job or elsewhere. */
  readonly runBy?: 'job' | 'caller'
}

/** A line of a task's log. */
export interface LogLine {
  readonly at: Date
  readonly text: string
}

/** What a dispatcher needs to know of a task that was added, or may be claimed again. */
export type TaskSignal = AddedTask & Pick<Task, 'state'>

/** The task in an `added` event. */
export type AddedTask = Pick<Task, '_id' | 'taskType' | 'priority' | 'dueDate'>

/** Why and when an attempt failed, as stored on the task. */
export interface TaskFailure {
  readonly name: string
  readonly message: string
  readonly stack: string | null
  readonly failedAt: Date
}

/** What `TaskQueue.addTask` takes. */
export interface NewTask<Data = unknown> extends TaskPolicy {
  /** The name of the task function in the task map; a non-empty string. */
  readonly taskType: string
  /**
   * The task's input: a plain object or array of null, booleans, numbers, strings, valid Dates, binary (Uint8Array or
   * Buffer), arrays and plain objects, at most 80 levels deep. It is copied. Undefined fields are left out. Undefined
   * items and holes in arrays are rejected. The task function gets a Buffer for each Uint8Array or Buffer.
   */
  readonly data: Data
  /** Any safe integer; higher runs first. Default 1. */
  readonly priority?: number
  /** Unique in the queue; a non-empty string. Default: a new one of 17 characters, which begins with the time. */
  readonly _id?: string
  /** The task does not start before this date. Default: now. */
  readonly dueDate?: Date
  /**
   * Who may follow the task, for instance the id of a user or of a team: a non-empty string, or an array of 1 to 20.
   * `TaskQueue.findFor` finds the task by each. When it has ended, it is kept for at least 60 seconds.
   */
  readonly audience?: string | readonly string[]
  /** Keeps the task in the memory of the master only: faster, but lost when the master exits. Default false. */
  readonly inMemory?: boolean
}

export const NEW_TASK_FIELDS = namesOf<keyof NewTask>({
  taskType: true,
  data: true,
  priority: true,
  _id: true,
  dueDate: true,
  audience: true,
  inMemory: true,
  retries: true,
  backoff: true,
  timeout: true,
  keepDone: true,
  keepFailed: true,
})

/** How many tasks this process has created. */
let created = 0

/**
 * Checks what the caller gave, fills in the defaults and copies the data. From here on, the task is well-formed.
 *
 * @param where the call, for errors
 * @throws InvalidArgumentError naming the field, what was given and what is allowed
 */
export function createTask(given: NewTask, where = 'addTask'): Task<PlainObject | PlainValue[]> {
  checkShape(where, given)
  const now = new Date()
  const dueDate = given.dueDate === undefined ? now : new Date(checkDate(`${where}.dueDate`, given.dueDate))
  return {
    _id: given._id === undefined ? createId() : checkText(`${where}._id`, given._id),
    taskType: checkText(`${where}.taskType`, given.taskType),
    data: checkData(where, given.data),
    priority: given.priority === undefined ? 1 : checkInteger(`${where}.priority`, given.priority),
    createdAt: now,
    dueDate,
    sequence: created++,
    state: dueDate > now ? 'scheduled' : 'waiting',
    ...(given.audience === undefined ? {} : { audience: checkAudience(where, given.audience) }),
    ...checkPolicy(where, given),
  }
}

/** @throws InvalidArgumentError if `given` is no array, if an item is wrong, or if an `_id` is given twice */
export function createTasks(given: readonly NewTask[]): Task[] {
  if (!(Array.isArray as (value: unknown) => boolean)(given)) {
    throw wrongValue('addTasks', given, 'an array of new tasks', isPlainObject(given) ? 'Use addTask for one.' : '')
  }
  // Holes too.
  const tasks = Array.from(given, (newTask, index) => createTask(newTask, `addTasks[${String(index)}]`))
  const ids = new Set<string>()
  for (const [index, { _id }] of tasks.entries()) {
    if (ids.has(_id)) throw wrongValue(`addTasks[${String(index)}]._id`, _id, 'one that no other of these tasks has')
    ids.add(_id)
  }
  return tasks
}

/** The receiver of the copy may change it. */
export function copyTask(task: Task): Task {
  return copyFields(task)
}

/**
 * Whether `TaskQueue.run` has added the task in a job, which lends its slot to it, and without a due date: it comes
 * before those that wait behind its parent, and so it is due before it was created.
 */
export function isChild({ createdAt, dueDate, runBy }: Task): boolean {
  return runBy === 'job' && dueDate < createdAt
}

/** The part of a task that its function sees. */
export function toJob<Data>(task: Task<Data>): Job<Data> {
  const { _id, taskType, data, priority, createdAt, dueDate } = task
  return { _id, taskType, data, priority, createdAt, dueDate, ...tickOf(task) }
}

/** The fields of a task that a schedule's tick has added. Other code may have written anything there. */
export function tickOf({ schedule, tickAt }: Job): Pick<Job, 'schedule' | 'tickAt'> {
  return typeof schedule === 'string' && isValidDate(tickAt) ? { schedule, tickAt } : {}
}

/** How many attempts have failed. Works for malformed tasks, too. */
export function failuresOf({ failures }: Task): number {
  return Number.isSafeInteger(failures) ? (failures as number) : 0
}

/** What is wrong with a task that other code wrote into the collection; undefined if it can be run. */
export function faultOf(task: Task): InvalidArgumentError | undefined {
  try {
    checkText('task._id', task._id)
    // A query for a type also finds an array that contains it.
    checkText('task.taskType', task.taskType)
    checkContainer('task.data', task.data)
    checkInteger('task.priority', task.priority)
    checkDate('task.createdAt', task.createdAt)
    checkDate('task.dueDate', task.dueDate)
    // 2.x wrote none.
    checkInteger('task.sequence', (task as Partial<Task>).sequence ?? 0)
    for (const field of ['attempts', 'failures', 'crashes'] as const) checkCount(`task.${field}`, task[field] ?? 0)
    checkPolicy('task', task)
    return undefined
  } catch (error) {
    return error as InvalidArgumentError
  }
}

function checkShape(where: string, given: unknown): void {
  // A proxy that was revoked has no tag.
  const isNoObject = typeof given !== 'object' || given === null || [undefined, 'Array'].includes(tagOf(given))
  if (isNoObject || isThenable(given)) {
    const hint = typeof given === 'string' ? `Use ${where}({ taskType: '${given}', data: {} }).` : ''
    throw wrongValue(where, given, 'an object { taskType, data, … }', hint)
  }
  checkNames(`${where}.`, given, 'field of a task', NEW_TASK_FIELDS)
  const { inMemory } = given as NewTask
  if (inMemory !== undefined && typeof inMemory !== 'boolean') {
    throw wrongValue(`${where}.inMemory`, inMemory, 'true or false')
  }
}

const MAX_AUDIENCE = 20

function checkAudience(where: string, audience: unknown): string | string[] {
  if (!Array.isArray(audience)) return checkText(`${where}.audience`, audience)
  if (audience.length === 0 || audience.length > MAX_AUDIENCE) {
    throw wrongValue(`${where}.audience`, audience, `a non-empty string, or 1 to ${String(MAX_AUDIENCE)} of them`)
  }
  return Array.from(audience, (item, index) => checkText(`${where}.audience[${String(index)}]`, item))
}

export function checkText(field: string, value: unknown): string {
  if (typeof value !== 'string' || value === '') throw wrongValue(field, value, 'a non-empty string', textHint(value))
  // MongoDB would return another character.
  if (value !== toWellFormed(value)) throw wrongValue(field, value, 'a string without unpaired surrogates')
  return value
}

function checkInteger(field: string, value: unknown): number {
  if (Number.isSafeInteger(value)) return value as number
  throw wrongValue(field, value, 'an integer', numberHint(value, Number.isSafeInteger))
}

function checkCount(field: string, value: unknown): void {
  if (checkInteger(field, value) < 0) throw wrongValue(field, value, 'an integer from 0')
}

function checkDate(field: string, value: unknown): Date {
  if (isValidDate(value)) return value
  throw wrongValue(field, value, 'a valid Date', dateHint(value))
}

function isValidDate(value: unknown): value is Date {
  return value instanceof Date && !Number.isNaN(value.getTime())
}

function checkData(where: string, value: unknown): PlainObject | PlainValue[] {
  // A nested undefined is left out, or rejected with its path.
  if (value === undefined) checkContainer(`${where}.data`, value)
  const result = copyPlain(value)
  if ('fault' in result) {
    const { path, value: item, allowed, hint } = result.fault
    throw wrongValue(`${where}.data${path}`, item, allowed, hint)
  }
  return checkContainer(`${where}.data`, result.copy) as PlainObject | PlainValue[]
}

function checkContainer(field: string, value: unknown): object {
  if (Array.isArray(value) || isPlainObject(value)) return value
  throw wrongValue(field, value, 'a plain object or an array', value === undefined ? 'Use {} if it needs none.' : '')
}

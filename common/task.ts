import type { InvalidArgumentError } from './errors'
import { createId } from './id'
import { type AttemptPolicy, checkPolicy } from './policy'
import { type PlainObject, type PlainValue, copyPlain, isPlainObject } from './plain'
import { dateHint, numberHint, textHint, unknownName, wrongValue } from './invalid'
import { toWellFormed } from './text'

/**
 * Where a task stands in its life. `scheduled`: due later. `waiting`: due, may be claimed. `running`: claimed by a
 * master. `failed`, `cancelled`: kept until it is retried or removed. A task that is done is removed; only one that was
 * taken over from a master that may still live is kept, `done`, for a day. Its `_id` may be used again.
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
  /** Not started before. */
  readonly dueDate: Date
}

/** A task in the queue: a document of the `taskQueue` collection, or an entry of the in-memory queue. */
export interface Task<Data = unknown> extends Job<Data>, AttemptPolicy {
  readonly state: TaskState
  /** Tells apart tasks that one process created within the same millisecond. */
  readonly sequence: number
  /** How often it was started, the run that is on included. Default 0. */
  readonly attempts?: number
  /** How many attempts have failed since it was added, or retried by hand. Default 0. */
  readonly failures?: number
  /** How often a worker died while it ran the task. Default 0. */
  readonly crashes?: number
  /**
   * A worker died while it ran this task and others at once: it is run alone from now on, so that it is known which of
   * them does that.
   */
  readonly isSuspect?: true
  /** How its last failed attempt ended. */
  readonly error?: TaskFailure
  /** Only on a cancelled task. */
  readonly cancelledAt?: Date
}

/** What a dispatcher needs to know of a task that was added, or may be claimed again. */
export type TaskSignal = Pick<Task, '_id' | 'taskType' | 'priority' | 'dueDate'>

/** Why and when an attempt failed, as it is kept on the task. */
export interface TaskFailure {
  readonly name: string
  readonly message: string
  readonly stack: string | null
  readonly failedAt: Date
}

/** What `TaskQueue.addTask` takes. */
export interface NewTask<Data = unknown> extends AttemptPolicy {
  /** The entry of the task map that runs it. Not empty. */
  readonly taskType: string
  /**
   * The task's input: a plain object or array of null, booleans, numbers, strings, valid Dates, binary
   * (Uint8Array or Buffer), arrays and plain objects, at most 80 levels deep. It is copied. Fields that are undefined
   * are left out, undefined and holes in arrays are refused; a Buffer comes out where a Uint8Array or Buffer went in.
   */
  readonly data: Data
  /** Any safe integer; higher runs first. Default 1. */
  readonly priority?: number
  /**
   * Unique over the queue; a string that is not empty. Default: a new one of 17 characters, which begins with the time.
   */
  readonly _id?: string
  /** The task does not start before. Default: now. */
  readonly dueDate?: Date
  /** Keep it in the memory of the master only: faster, and gone with the master. Default false. */
  readonly inMemory?: boolean
}

const FIELDS: readonly string[] = [
  'taskType',
  'data',
  'priority',
  '_id',
  'dueDate',
  'inMemory',
  'retries',
  'backoff',
  'timeout',
]

/** One process's count of the tasks that it created. */
let created = 0

/**
 * Checks what a caller gave, fills in the defaults and copies the data: from here on a task is well-formed.
 *
 * @param where what the caller called, for errors
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
    ...checkPolicy(where, given),
  }
}

/** @throws InvalidArgumentError for what is no list, or for one of its items; for an `_id` that is given twice too */
export function createTasks(given: readonly NewTask[]): Task[] {
  if (!(Array.isArray as (value: unknown) => boolean)(given)) {
    throw wrongValue('addTasks', given, 'an array of new tasks', isPlainObject(given) ? 'Use addTask for one.' : '')
  }
  const tasks = given.map((newTask, index) => createTask(newTask, `addTasks[${String(index)}]`))
  const ids = new Set<string>()
  for (const [index, { _id }] of tasks.entries()) {
    if (ids.has(_id)) throw wrongValue(`addTasks[${String(index)}]._id`, _id, 'one that no other of these tasks has')
    ids.add(_id)
  }
  return tasks
}

/** Whoever has the copy may change its data. */
export function copyTask(task: Task): Task {
  const result = copyPlain(task.data)
  return { ...task, data: 'copy' in result ? result.copy : task.data }
}

/** The part of a task that its function sees. */
export function toJob<Data>(task: Task<Data>): Job<Data> {
  const { _id, taskType, data, priority, createdAt, dueDate } = task
  return { _id, taskType, data, priority, createdAt, dueDate }
}

/** How many attempts have failed. It is asked of malformed tasks too. */
export function failuresOf({ failures }: Task): number {
  return Number.isSafeInteger(failures) ? (failures as number) : 0
}

/** What is wrong with a task that somebody wrote into the collection by hand; undefined when it can be run. */
export function faultOf(task: Task): InvalidArgumentError | undefined {
  try {
    checkText('task._id', task._id)
    // A query for a type finds a list that holds it, too.
    checkText('task.taskType', task.taskType)
    checkContainer('task.data', task.data)
    checkInteger('task.priority', task.priority)
    checkDate('task.createdAt', task.createdAt)
    checkDate('task.dueDate', task.dueDate)
    for (const field of ['attempts', 'failures', 'crashes'] as const) checkInteger(`task.${field}`, task[field] ?? 0)
    checkPolicy('task', task)
    return undefined
  } catch (error) {
    return error as InvalidArgumentError
  }
}

function checkShape(where: string, given: unknown): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    const hint = typeof given === 'string' ? `Use ${where}({ taskType: '${given}', data: {} }).` : ''
    throw wrongValue(where, given, 'an object { taskType, data, … }', hint)
  }
  const unknown = Object.keys(given).find(field => !FIELDS.includes(field))
  if (unknown !== undefined) throw unknownName(`${where}.${unknown}`, unknown, 'field of a task', FIELDS)
  const { inMemory } = given as NewTask
  if (inMemory !== undefined && typeof inMemory !== 'boolean') {
    throw wrongValue(`${where}.inMemory`, inMemory, 'true or false')
  }
}

export function checkText(field: string, value: unknown): string {
  if (typeof value !== 'string' || value === '') throw wrongValue(field, value, 'a non-empty string', textHint(value))
  // MongoDB would give back another character.
  if (value !== toWellFormed(value)) throw wrongValue(field, value, 'a string without unpaired surrogates')
  return value
}

function checkInteger(field: string, value: unknown): number {
  if (Number.isSafeInteger(value)) return value as number
  throw wrongValue(field, value, 'an integer', numberHint(value))
}

function checkDate(field: string, value: unknown): Date {
  if (value instanceof Date && !Number.isNaN(value.getTime())) return value
  throw wrongValue(field, value, 'a valid Date', dateHint(value))
}

function checkData(where: string, value: unknown): PlainObject | PlainValue[] {
  // Nested, undefined is left out or refused by its path.
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

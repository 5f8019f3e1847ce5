import { InvalidArgumentError } from './errors'
import { type PlainObject, type PlainValue, copyPlain, isPlainObject } from './plain'

/**
 * Where a task stands in its life. `scheduled`: due later. `waiting`: due, may be claimed. `running`: claimed by a
 * master. `failed`: its function threw; it stays in the queue until it is removed. A task that is done is removed.
 */
export type TaskState = 'scheduled' | 'waiting' | 'running' | 'failed'

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
export interface Task<Data = unknown> extends Job<Data> {
  readonly state: TaskState
  /** Tells apart tasks that one process created within the same millisecond. */
  readonly sequence: number
  /** How often a worker died while it ran this task. Default 0. */
  readonly crashes?: number
  /** Only on a failed task. */
  readonly error?: TaskFailure
}

/** Why and when a task failed, as it is kept on the task. */
export interface TaskFailure {
  readonly name: string
  readonly message: string
  readonly stack: string | null
  readonly failedAt: Date
}

/** What `TaskQueue.addTask` takes. */
export interface NewTask<Data = unknown> {
  /** The entry of the task map that runs it. Not empty. */
  readonly taskType: string
  /**
   * The task's input: a plain object or array of null, booleans, numbers, strings, valid Dates, binary
   * (Uint8Array or Buffer), arrays and plain objects, at most 80 levels deep. It is copied. Fields that are undefined
   * are left out; a Buffer comes out where a Uint8Array or Buffer went in.
   */
  readonly data: Data
  /** Any safe integer; higher runs first. Default 1. */
  readonly priority?: number
  /** Unique over the queue; a string that is not empty. Default: a random one. */
  readonly _id?: string
  /** The task does not start before. Default: now. */
  readonly dueDate?: Date
  /** Keep it in the memory of the master only: faster, and gone with the master. Default false. */
  readonly inMemory?: boolean
}

const FIELDS: readonly string[] = ['taskType', 'data', 'priority', '_id', 'dueDate', 'inMemory']

/** One process's count of the tasks that it created. */
let created = 0

/**
 * Checks what a caller gave, fills in the defaults and copies the data: from here on a task is well-formed.
 *
 * @throws InvalidArgumentError naming the field, what was given and what is allowed
 */
export function createTask(given: NewTask, makeId: () => string): Task<PlainObject | PlainValue[]> {
  checkShape(given)
  const now = new Date()
  const dueDate = given.dueDate === undefined ? now : checkDate(given.dueDate)
  return {
    _id: given._id === undefined ? makeId() : checkText('_id', given._id),
    taskType: checkText('taskType', given.taskType),
    data: checkData(given.data),
    priority: given.priority === undefined ? 1 : checkInteger('priority', given.priority),
    createdAt: now,
    dueDate,
    sequence: created++,
    state: dueDate > now ? 'scheduled' : 'waiting',
  }
}

/** The part of a task that its function sees. */
export function toJob<Data>(task: Task<Data>): Job<Data> {
  const { _id, taskType, data, priority, createdAt, dueDate } = task
  return { _id, taskType, data, priority, createdAt, dueDate }
}

function checkShape(given: unknown): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new InvalidArgumentError('addTask', given, `an object with ${FIELDS.join(', ')}`)
  }
  const unknown = Object.keys(given).find(field => !FIELDS.includes(field))
  if (unknown !== undefined) {
    throw new InvalidArgumentError(`addTask.${unknown}`, (given as Record<string, unknown>)[unknown], FIELDS.join(', '))
  }
  const { inMemory } = given as NewTask
  if (inMemory !== undefined && typeof inMemory !== 'boolean') {
    throw new InvalidArgumentError('addTask.inMemory', inMemory, 'true or false')
  }
}

function checkText(field: string, value: unknown): string {
  if (typeof value === 'string' && value !== '') return value
  throw new InvalidArgumentError(`addTask.${field}`, value, 'a string that is not empty')
}

function checkInteger(field: string, value: unknown): number {
  if (Number.isSafeInteger(value)) return value as number
  throw new InvalidArgumentError(`addTask.${field}`, value, 'a safe integer')
}

function checkDate(value: unknown): Date {
  if (value instanceof Date && !Number.isNaN(value.getTime())) return new Date(value)
  throw new InvalidArgumentError('addTask.dueDate', value, 'a valid Date')
}

function checkData(value: unknown): PlainObject | PlainValue[] {
  const result = copyPlain(value)
  if ('fault' in result) {
    throw new InvalidArgumentError(`addTask.data${result.fault.path}`, result.fault.value, result.fault.allowed)
  }
  const { copy } = result
  if (Array.isArray(copy) || isPlainObject(copy)) return copy
  throw new InvalidArgumentError('addTask.data', value, 'a plain object or an array')
}

/** The task map: the task functions of an application, by `taskType`, and how each of them is attempted. */
import { isThenable } from './inspect'
import { checkNames, checkReadable, namesOf, numberHint, wrongValue } from './invalid'
import type { JobContext, TaskFunction, ToggleIPC } from './ipc'
import { isPlainObject } from './plain'
import { type TaskPolicy, type Backoff, type BackoffFunction, DEFAULT_BACKOFF, checkPolicy, isCount } from './policy'
import type { StandardSchema } from './register'
import { isSchema } from './schema'
import type { Job } from './task'

/**
 * Declared as a method, so that a function for a narrower `Job<Data>` is accepted. The type of the data is only known
 * where a task is added.
 */
type AnyTaskFunction = { run(job: Job, toggleIPC: ToggleIPC, context: JobContext): unknown }['run']

/** An entry of the task map with more than the task function. */
export interface TaskDefinition extends Omit<TaskPolicy, 'backoff'> {
  readonly run: AnyTaskFunction
  /**
   * Checks `data` when a task is added, where this task map is known, and before each run. The function gets what the
   * schema makes of it.
   */
  readonly schema?: StandardSchema
  /** As in `addTask`, or a function, which is called on the master. If the function fails, the default is used. */
  readonly backoff?: Backoff | BackoffFunction
  /**
   * How many jobs of this type one master runs at once, from 1. A task that waits for another of its own type may wait
   * for itself. Default: no limit but `maxAvailableWorkers` and `workerConcurrency`.
   */
  readonly perMaster?: number
}

/** The task functions of an application, by `taskType`. */
export interface TaskMap {
  readonly [taskType: string]: AnyTaskFunction | TaskDefinition
}

/** A definition that has been checked. */
export interface ResolvedDefinition extends Omit<TaskPolicy, 'backoff'> {
  readonly run: TaskFunction
  readonly schema?: StandardSchema
  readonly backoff?: Backoff | BackoffFunction
  readonly perMaster?: number
}

/** How a task is tried again. */
export interface RetryPolicy {
  readonly retries: number
  readonly backoff: Backoff | BackoffFunction
}

/** By `taskType`. A Map, since an object would have an entry for `constructor`. */
export type Definitions = ReadonlyMap<string, ResolvedDefinition>

// What counts for a task: its own value, else its type's, else the default.

export function retryPolicyOf(task: TaskPolicy & Job, definitions: Definitions): RetryPolicy {
  const { retries = 0, backoff = DEFAULT_BACKOFF } = definitions.get(task.taskType) ?? {}
  return { retries: task.retries ?? retries, backoff: task.backoff ?? backoff }
}

/** @returns milliseconds; undefined for no limit */
export function timeoutOf(task: TaskPolicy & Job, definitions: Definitions): number | undefined {
  return task.timeout ?? definitions.get(task.taskType)?.timeout
}

/** @returns milliseconds; undefined if a done task is not kept */
export function keepDoneOf(task: TaskPolicy & Job, definitions: Definitions): number | undefined {
  return task.keepDone ?? definitions.get(task.taskType)?.keepDone
}

const FIELDS = namesOf<keyof TaskDefinition>({
  run: true,
  schema: true,
  retries: true,
  backoff: true,
  timeout: true,
  keepDone: true,
  keepFailed: true,
  perMaster: true,
})

/** @throws InvalidArgumentError naming the entry, what was given and what is allowed */
export function resolveTaskMap(taskMap: unknown): Definitions {
  if (!isPlainObject(taskMap)) {
    throw wrongValue('new Cluster: taskMap', taskMap, 'an object of functions, by taskType')
  }
  checkReadable('new Cluster: taskMap.', taskMap)
  return new Map(Object.entries(taskMap).map(([taskType, entry]) => [taskType, resolveEntry(taskType, entry)]))
}

function resolveEntry(taskType: string, entry: unknown): ResolvedDefinition {
  const where = `new Cluster: taskMap.${taskType}`
  const { run, backoff, perMaster, schema, ...rest }: Readonly<Record<string, unknown>> =
    typeof entry === 'function' ? { run: entry } : checkEntry(where, entry)
  const isFunction = typeof backoff === 'function'
  const policy = checkPolicy(where, { ...rest, backoff: isFunction ? undefined : backoff })
  return {
    run: run as TaskFunction,
    ...policy,
    ...(schema === undefined ? {} : { schema: schema as StandardSchema }),
    ...(isFunction ? { backoff: backoff as BackoffFunction } : {}),
    ...(perMaster === undefined ? {} : { perMaster: perMaster as number }),
  }
}

function checkEntry(where: string, entry: unknown): Readonly<Record<string, unknown>> {
  if (!isPlainObject(entry)) {
    const hint = entry === undefined || isThenable(entry) ? 'Give the function itself, not what it returns.' : ''
    throw wrongValue(where, entry, `a function, or { ${FIELDS.join(', ')} }`, hint)
  }
  const hint = where.endsWith('taskMap.taskMap') ? 'Give the map itself: new Cluster(taskMap).' : undefined
  checkNames(`${where}.`, entry, 'field of a task type', FIELDS, hint)
  if (typeof entry.run !== 'function') throw wrongValue(`${where}.run`, entry.run, 'a function')
  if (entry.schema !== undefined && !isSchema(entry.schema)) {
    const allowed = 'a Standard Schema, as Zod, Valibot and ArkType have them'
    throw wrongValue(`${where}.schema`, entry.schema, allowed)
  }
  if (entry.perMaster !== undefined && !isCount(entry.perMaster)) {
    const hint = entry.perMaster === 0 ? 'To stop a type, use TaskQueue.pause.' : numberHint(entry.perMaster, isCount)
    throw wrongValue(`${where}.perMaster`, entry.perMaster, 'an integer from 1', hint)
  }
  return entry
}

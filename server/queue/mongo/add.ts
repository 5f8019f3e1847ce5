/** Adds tasks to the persistent queue, from any process, with or without a cluster in it. */
import { DuplicateTaskError } from '../../../common/errors'
import { wrongValue } from '../../../common/invalid'
import type { Task } from '../../../common/task'
import { sizeOf } from './documents/driver'
import { DUPLICATE_KEY, DURABLE, ENDED_STATES, type RawCollection, type StoredTask } from './documents/schema'
import { isOfType, isSet, literal } from './documents/expressions'

/** A document may have 16 MB. The rest is for what the queue adds: a claim, and the error of the last attempt. */
const MAX_BYTES = 15 * 1024 * 1024

/**
 * A new task replaces an ended one of the same `_id` that need not be kept.
 *
 * @throws DuplicateTaskError (rejects)
 */
export async function add(task: StoredTask, tasks: RawCollection): Promise<void> {
  try {
    await tasks.insertOne(task, DURABLE)
  } catch (error) {
    if (!isTaken(error)) throw error
    if (!(await replaceEnded(task, tasks))) throw new DuplicateTaskError([task._id], { cause: error })
  }
}

/** Adds tasks in as few writes as the driver needs. @returns the `_id`s that were already in the queue */
export async function addAll(added: readonly Task[], tasks: RawCollection): Promise<string[]> {
  try {
    if (added.length > 0) await tasks.insertMany([...added], { ...DURABLE, ordered: false })
    return []
  } catch (error) {
    const taken = takenAmong(added, error)
    if (taken === undefined) throw error
    const replaced = await Promise.all(taken.map(task => replaceEnded(task, tasks)))
    return taken.filter((_task, index) => !replaced[index]).map(({ _id }) => _id)
  }
}

/** What the driver throws when a bulk write fails. Without `writeErrors` if no part of it was executed. */
interface BulkWriteError {
  readonly writeErrors?: readonly { readonly index: number; readonly err?: unknown }[]
  readonly result?: { getWriteConcernError?(): unknown }
}

/** The tasks whose `_id` was taken; undefined when the error has any other cause too. */
function takenAmong(added: readonly Task[], error: unknown): Task[] | undefined {
  const { writeErrors = [], result } = error as BulkWriteError
  const isDurable = result?.getWriteConcernError?.() === undefined
  if (!isDurable || writeErrors.length === 0 || !writeErrors.every(({ err }) => isTaken(err))) return undefined
  return writeErrors.flatMap(({ index }) => added[index] ?? [])
}

/** A task that is kept no longer may be there until MongoDB's TTL monitor comes, once a minute. */
const IS_SURPLUS = {
  $and: [{ $in: ['$state', ENDED_STATES] }, isOfType('$removeAt', 'date'), { $lte: ['$removeAt', '$$NOW'] }],
}

/**
 * Whether this new task may replace one that has ended, which the expression is about: if that is kept no longer, or is
 * done and its `keepDone` is over. A task of `TaskQueue.run` does not replace one that is watched: its caller gets that
 * result.
 */
function isReplaceableBy({ awaited }: Task): object {
  const isFree = [{ $eq: ['$state', 'done'] }, { $not: { $gt: ['$idHeldUntil', '$$NOW'] } }]
  const isUnwatched = { $not: { $or: [isSet('$awaited'), isSet('$audience')] } }
  return { $or: [IS_SURPLUS, { $and: awaited === undefined ? isFree : [...isFree, isUnwatched] }] }
}

/**
 * Replaces an ended task whose `_id` is free. `replaced` then names the token that settled it, for its former holder.
 */
async function replaceEnded(task: Task, tasks: RawCollection): Promise<boolean> {
  const update = [{ $replaceWith: { $mergeObjects: [literal(task), { replaced: '$settledBy' }] } }]
  const replaceable = { _id: task._id, $expr: isReplaceableBy(task) }
  const { matchedCount } = await tasks.updateOne(replaceable, update, DURABLE)
  return matchedCount === 1
}

/** @throws InvalidArgumentError for a task that is too large */
export function checkSize(where: string, task: Task): void {
  const bytes = sizeOf(task)
  if (bytes <= MAX_BYTES) return
  const allowed = `at most ${String(MAX_BYTES)} bytes of BSON for the whole task (this has ${String(bytes)})`
  throw wrongValue(`${where}.data`, task.data, allowed, 'Store it elsewhere (GridFS, S3), and give its key.')
}

/** Whether the `_id` is taken. A unique index of the application's own on this collection reports the same code. */
export function isTaken(error: unknown): boolean {
  const { code, keyPattern } = error as { code?: unknown; keyPattern?: object }
  return code === DUPLICATE_KEY && Object.hasOwn(keyPattern ?? { _id: 1 }, '_id')
}

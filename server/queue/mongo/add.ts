/** What any process may do to a task in the persistent queue, with or without a cluster in it. */
import { MongoInternals } from 'meteor/mongo'
import { DuplicateTaskError, InvalidArgumentError } from '../../../common/errors'
import type { Task } from '../../../common/task'
import type { Cancelled } from '../claim'
import { DURABLE, START_ANEW, type RawCollection, cancelled, toTask } from './updates'
import type { Nudge } from '../signals'

/** MongoDB's code for a value that a unique index holds already. */
const DUPLICATE_KEY = 11_000

/** Below the 16 MB of a document, with room for what the queue writes on it: a claim, and the error of the last attempt. */
const MAX_BYTES = 15 * 1024 * 1024

/** @throws DuplicateTaskError (rejects) */
export async function store(task: Task, tasks: RawCollection): Promise<void> {
  try {
    await tasks.insertOne(task, DURABLE)
  } catch (error) {
    if (!isTaken(error)) throw error
    if (!(await replaceDone(task, tasks))) throw new DuplicateTaskError([task._id], { cause: error })
  }
}

/** Stores them in as few writes as the driver makes of it. @returns the `_id`s of those that are in the queue already */
export async function storeAll(added: readonly Task[], tasks: RawCollection): Promise<string[]> {
  try {
    if (added.length > 0) await tasks.insertMany([...added], { ...DURABLE, ordered: false })
    return []
  } catch (error) {
    const taken = takenAmong(added, error)
    if (taken === undefined) throw error
    const isReplaced = await Promise.all(taken.map(task => replaceDone(task, tasks)))
    return taken.filter((_task, index) => !isReplaced[index]).map(({ _id }) => _id)
  }
}

/** What the driver throws when a write of many fails, also when no part of it was made: then without `writeErrors`. */
interface BulkWriteError {
  readonly writeErrors?: readonly { readonly index: number; readonly err?: unknown }[]
  readonly result?: { getWriteConcernError?(): unknown }
}

/** Undefined when the error is about anything else too. */
function takenAmong(added: readonly Task[], error: unknown): Task[] | undefined {
  const { writeErrors = [], result } = error as BulkWriteError
  const isDurable = result?.getWriteConcernError?.() === undefined
  if (!isDurable || writeErrors.length === 0 || !writeErrors.every(({ err }) => isTaken(err))) return undefined
  return writeErrors.flatMap(({ index }) => added[index] ?? [])
}

/** A done task that is still there does not take up its `_id`. */
async function replaceDone(task: Task, tasks: RawCollection): Promise<boolean> {
  const { matchedCount } = await tasks.replaceOne({ _id: task._id, state: 'done' }, task, DURABLE)
  return matchedCount === 1
}

/** @returns undefined when there is none that could be cancelled */
export async function cancelStored(
  tasks: RawCollection,
  _id: string,
  keepFailed: number | null,
): Promise<Cancelled | undefined> {
  const { value } = await tasks.findOneAndUpdate(
    { _id, state: { $in: ['scheduled', 'waiting', 'running'] } },
    cancelled(keepFailed),
    { ...DURABLE, returnDocument: 'before', includeResultMetadata: true, promoteBuffers: true },
  )
  return value === null ? undefined : { task: toTask(value), token: value.claim?.token }
}

/** Starts a failed or cancelled task anew. @returns the task, or undefined when there is none */
export async function startStoredAnew(tasks: RawCollection, _id: string): Promise<Nudge | undefined> {
  const { value } = await tasks.findOneAndUpdate({ _id, state: { $in: ['failed', 'cancelled'] } }, START_ANEW, {
    ...DURABLE,
    returnDocument: 'after',
    projection: { taskType: 1, priority: 1, dueDate: 1 },
    includeResultMetadata: true,
  })
  return value ?? undefined
}

/** In bytes of BSON. */
export function sizeOf(task: Task): number {
  const { BSON } = MongoInternals.NpmModules.mongodb.module
  return BSON.calculateObjectSize(task, { ignoreUndefined: true })
}

/** @throws InvalidArgumentError for a task that is too large */
export function checkSize(where: string, task: Task): void {
  const bytes = sizeOf(task)
  if (bytes <= MAX_BYTES) return
  const allowed = `at most ${String(MAX_BYTES)} bytes of BSON with the task around it (these are ${String(bytes)})`
  throw new InvalidArgumentError(`${where}.data`, task.data, allowed)
}

/** Whether the `_id` is. A unique index of the application's own on this collection reports the same code. */
export function isTaken(error: unknown): boolean {
  const { code, keyPattern } = error as { code?: unknown; keyPattern?: object }
  return code === DUPLICATE_KEY && Object.hasOwn(keyPattern ?? { _id: 1 }, '_id')
}

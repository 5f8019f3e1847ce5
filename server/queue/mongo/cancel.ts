/** Cancels tasks of the persistent queue, and starts them anew, from any process. */
import type { Incarnation } from '../../../common/ending'
import type { TaskSignal } from '../../../common/task'
import type { Cancellation } from '../claim'
import type { Retention } from '../retention'
import { findOneAndUpdate } from './documents/driver'
import { isDecodingError, readableOf } from './documents/readable'
import { type Filter, HAS_NOT_ENDED, type RawCollection, toTask } from './documents/schema'
import { START_ANEW, cancelled } from './documents/updates'

/**
 * Cancels a task that is not running, or asks the holder of a running one to settle it as cancelled. Since this is one
 * write, the state in the database decides which.
 *
 * @param which its `_id`, and what tells it from another of the same `_id`
 * @returns undefined when no such task could be cancelled
 */
export async function cancelTask(
  tasks: RawCollection,
  which: Pick<Incarnation, '_id'> & Partial<Incarnation>,
  retention: Retention,
): Promise<Cancellation | undefined> {
  const update = cancelled(retention.keepFailedExpression)
  const task = await findOneAndUpdate(tasks, { ...which, ...HAS_NOT_ENDED }, update).catch(async (error: unknown) => {
    // The update is done, and what it returned cannot be read.
    if (isDecodingError(error)) return (await readableOf(tasks, which._id)) ?? null
    throw error
  })
  if (task === null) return undefined
  // Other code may have written a running task without a claim: it expires, and whoever rescues it cancels it.
  return { task: toTask(task), token: task.state === 'running' ? (task.claim?.token ?? '') : undefined }
}

/** Starts a failed or cancelled task anew. @returns undefined when there is no such task */
export async function startAnew(tasks: RawCollection, _id: string): Promise<TaskSignal | undefined> {
  const projection = { taskType: 1, priority: 1, dueDate: 1, state: 1 }
  const filter: Filter = { _id, state: { $in: ['failed', 'cancelled'] } }
  return (await findOneAndUpdate(tasks, filter, START_ANEW, { projection })) ?? undefined
}

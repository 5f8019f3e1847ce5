import { TASK_ORDER } from '../../../common/order'
import { messageOf } from '../../../common/errors'
import { DURABLE, type Filter, type RawCollection, isTooLarge, tokenOf, tokensOf } from './schema'
import { type Pipeline, failedWithoutError } from './updates'

/** Less is never too large: documents may have 16 MB, and a claim takes less than the difference. */
const SUSPICIOUS_BYTES = 16 * 1024 * 1024 - 4096
const IS_SUSPICIOUS = { $expr: { $gt: [{ $bsonSize: '$$ROOT' }, SUSPICIOUS_BYTES] } }

/**
 * A claim ended in an error. Where that is a task's fault (somebody wrote one by hand that is too large to carry a
 * claim, or that the driver cannot read) the task is failed, so that it does not hold up what waits behind it.
 *
 * @param next what the claim looked for
 * @param batch the first part of its tokens
 * @throws in any case: the error of the claim, or one that says which task was failed for it
 */
export async function failUnclaimable(
  tasks: RawCollection,
  next: Filter,
  batch: string,
  error: unknown,
): Promise<never> {
  if (!isTooLarge(error)) return failUnreadable(tasks, batch, error)
  // Another master may have failed it meanwhile; then the next in order is none of ours to fail.
  const large = { $and: [next, IS_SUSPICIOUS] }
  const first = await tasks.findOne(large, { sort: TASK_ORDER, projection: { _id: 1 } })
  if (first === null) throw error
  // Nothing else is written on it: there may be no room.
  return fail(tasks, { _id: first._id, state: 'waiting' }, [{ $set: { state: 'failed' } }], error)
}

/**
 * Claimed tasks could not be read. What the driver throws while it reads a document is none of its own errors, which
 * are about the connection or the server.
 *
 * @throws in any case: the error, or one that says which task was failed for it
 */
export async function failUnreadable(tasks: RawCollection, batch: string, error: unknown): Promise<never> {
  const { name } = error as { name?: unknown }
  if (typeof name === 'string' && name.startsWith('Mongo')) throw error
  const claimed = await tasks
    .find({ state: 'running', 'claim.token': tokensOf(batch) }, { projection: { _id: 1 } })
    .toArray()
  for (const { _id } of claimed) {
    const isReadable = await tasks.findOne({ _id }).then(
      () => true,
      () => false,
    )
    if (isReadable) continue
    const held = { _id, state: 'running' as const, 'claim.token': tokensOf(batch) }
    return fail(tasks, held, failedWithoutError(tokenOf(batch, _id), null), error)
  }
  throw error
}

async function fail(
  tasks: RawCollection,
  filter: Filter & { readonly _id: string },
  update: Pipeline,
  error: unknown,
): Promise<never> {
  const { modifiedCount } = await tasks.updateOne(filter, update, DURABLE)
  if (modifiedCount === 0) throw error
  throw new Error(`the task "${filter._id}" cannot be run, and is failed: ${messageOf(error)}`, { cause: error })
}

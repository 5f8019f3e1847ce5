import { TASK_ORDER } from '../../common/order'
import { messageOf } from '../../common/errors'
import { DURABLE, type RawCollection, isTooLarge } from './updates'

type Filter = NonNullable<Parameters<RawCollection['findOne']>[0]>

/** Less is never too large: documents may have 16 MB, and a claim takes less than the difference. */
const SUSPICIOUS_BYTES = 16 * 1024 * 1024 - 4096
const IS_SUSPICIOUS = { $expr: { $gt: [{ $bsonSize: '$$ROOT' }, SUSPICIOUS_BYTES] } }

/**
 * A claim ended in an error. Where that is the task's fault (somebody wrote one by hand that is too large to carry a claim, or that
 * the driver cannot read) the task is failed, so that it does not hold up what waits behind it.
 *
 * @param next what the claim looked for
 * @throws in any case: the error of the claim, or one that says which task was failed for it
 */
export async function failUnclaimable(
  tasks: RawCollection,
  next: Filter,
  token: string,
  error: unknown,
): Promise<never> {
  const filter = await culprit(tasks, next, token, error)
  if (filter === undefined) throw error
  // Nothing else is written on it: there may be no room.
  const { modifiedCount } = await tasks.updateOne(filter, [{ $set: { state: 'failed' } }, { $unset: 'claim' }], DURABLE)
  if (modifiedCount === 0) throw error
  throw new Error(`the task with ${JSON.stringify(filter)} cannot be run, and is failed: ${messageOf(error)}`, {
    cause: error,
  })
}

async function culprit(tasks: RawCollection, next: Filter, token: string, error: unknown): Promise<Filter | undefined> {
  if (isTooLarge(error)) {
    // Another master may have failed it meanwhile; then the next in order is none of ours to fail.
    const large = { $and: [next, IS_SUSPICIOUS] }
    const first = await tasks.findOne(large, { sort: TASK_ORDER, projection: { _id: 1 } })
    return first === null ? undefined : { _id: first._id, state: 'waiting' }
  }
  // The driver's own errors are about the connection or the server. What is thrown while it reads a document is not of these; by then
  // the claim has been made.
  const { name } = error as { name?: unknown }
  const isOfDriver = typeof name === 'string' && name.startsWith('Mongo')
  return isOfDriver ? undefined : { state: 'running', 'claim.token': token }
}

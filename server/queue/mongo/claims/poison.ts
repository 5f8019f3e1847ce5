import { messageOf } from '../../../../common/errors'
import { TASK_ORDER } from '../../../../common/order'
import type { Task } from '../../../../common/task'
import type { RefusalListener } from '../documents/allowed'
import { isDecodingError, readableOf } from '../documents/readable'
import { DURABLE, type Filter, type RawCollection, isTooLarge, toTask, tokenOf, tokensOf } from '../documents/schema'
import { type Pipeline, failedUnstarted } from '../documents/updates'

/**
 * A smaller document is never too large to be claimed: the limit is 16 MB, and a claim takes less than the difference.
 */
const SUSPICIOUS_BYTES = 16 * 1024 * 1024 - 4096
const IS_SUSPICIOUS = { $expr: { $gt: [{ $bsonSize: '$$ROOT' }, SUSPICIOUS_BYTES] } }

/** The document may have no room for the second field. */
const FAILED_WHOLE: Pipeline = [{ $set: { state: 'failed', endedAt: '$$NOW' } }]
const FAILED_BARELY: Pipeline = [{ $set: { state: 'failed' } }]

export interface TaskListener extends RefusalListener {
  /** A task was failed, since it cannot be claimed or read. @param task as far as it can be read */
  emitPoisoned(task: Task, error: Error): void
  /** Somebody has cancelled the task meanwhile. */
  emitCancelled(task: Task): unknown
}

/** Fails documents that other code wrote and that cannot be claimed or read, so that they do not block the queue. */
export class Poison {
  readonly #tasks: RawCollection
  readonly #listener: TaskListener

  constructor(tasks: RawCollection, listener: TaskListener) {
    this.#tasks = tasks
    this.#listener = listener
  }

  /**
   * Called when a claim failed: fails the task that is too large to carry a claim, if that is the cause.
   *
   * @param next the filter of the claim
   * @throws the error, when it has another cause
   */
  async failUnclaimable(next: Filter, error: unknown): Promise<void> {
    if (!isTooLarge(error)) throw error
    // Another master may have failed that task meanwhile. Without the size condition, this would fail the next one.
    const large = { $and: [next, IS_SUSPICIOUS] }
    const first = await this.#tasks.findOne(large, { sort: TASK_ORDER, projection: { _id: 1 } })
    if (first === null) return
    const filter = { _id: first._id, state: 'waiting' as const }
    await this.fail(filter, FAILED_WHOLE, error).catch((refusal: unknown) => {
      if (!isTooLarge(refusal)) throw refusal
      return this.fail(filter, FAILED_BARELY, error)
    })
  }

  /** Called when a document without a state has no room to become a task: fails it. @param filter matches it */
  failUnadoptable(filter: Filter & { readonly _id: string }, error: unknown): Promise<void> {
    return this.fail(filter, FAILED_BARELY, error)
  }

  /**
   * Called when a read of claimed tasks failed: fails those that cannot be read.
   *
   * @param batch the first part of their tokens
   * @throws the error, when it has another cause
   */
  async failUnreadable(batch: string, error: unknown): Promise<void> {
    if (!isDecodingError(error)) throw error
    const held = { state: 'running' as const, 'claim.token': tokensOf(batch) }
    // In a collation of the collection, the range of a batch may be empty.
    const options = { projection: { _id: 1 }, collation: { locale: 'simple' } }
    const claimed = await this.#tasks.find(held, options).toArray()
    let count = 0
    for (const { _id } of claimed) {
      const fault = await this.faultOf(_id)
      if (fault === undefined) continue
      count++
      const token = tokenOf(batch, _id)
      const filter = { _id, state: 'running' as const, 'claim.token': token }
      await this.fail(filter, failedUnstarted(token, messageOf(fault)), fault)
    }
    if (count === 0) throw error
  }

  /** @returns what the driver throws when it reads this document, or undefined */
  private faultOf(_id: string): Promise<unknown> {
    return this.#tasks.findOne({ _id }).then(
      () => undefined,
      (error: unknown) => error,
    )
  }

  private async fail(filter: Filter & { readonly _id: string }, update: Pipeline, reason: unknown): Promise<void> {
    const { modifiedCount } = await this.#tasks.updateOne(filter, update, DURABLE)
    if (modifiedCount === 0) return
    const found = await readableOf(this.#tasks, filter._id)
    if (found === undefined) return
    const task = toTask(found)
    if (task.state === 'cancelled') this.#listener.emitCancelled(task)
    else {
      const error = new Error(`nschwarz:cluster: the task cannot be run, and is failed: ${messageOf(reason)}`)
      this.#listener.emitPoisoned(task, error)
    }
  }
}

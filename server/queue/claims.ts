import type { Mongo } from 'meteor/mongo'
import { TASK_ORDER } from '../../common/order'
import type { TaskFailure } from '../../common/task'
import type { Claim, ClaimStore, Counts, Fate, Release } from './claim'
import type { Owner } from './owner'
import { failUnclaimable } from './unclaimable'
import {
  ADOPT,
  DURABLE,
  GIVE_BACK,
  HAS_EXPIRED,
  IS_DUE,
  IS_NOT_DUE,
  TAKE_OVER,
  type Pipeline,
  type StoredTask,
  claimFor,
  doneBy,
  failed,
  inMilliseconds,
  isTooLarge,
  retried,
  toTask,
  withError,
} from './updates'

type RawCollection = ReturnType<Mongo.Collection<StoredTask>['rawCollection']>

export interface ClaimsOptions {
  /** The types that this master has functions for: it claims no others. */
  readonly taskTypes: readonly string[]
  /** How long a claim is valid without being renewed, in milliseconds. */
  readonly leaseDuration: number
  /** How long failed tasks are kept, in milliseconds, or null for good. */
  readonly keepFailed: number | null
}

/**
 * Every write that the dispatcher makes to the persistent queue. Each is one atomic update that names the state, or the token,
 * that it expects.
 */
export class Claims implements ClaimStore {
  readonly #tasks: RawCollection
  readonly #owner: Owner
  readonly #options: ClaimsOptions

  constructor(tasks: RawCollection, owner: Owner, options: ClaimsOptions) {
    this.#tasks = tasks
    this.#owner = owner
    this.#options = options
  }

  async createIndexes(): Promise<void> {
    // Taking the next task: equality on the first two, then the order of all tasks, so no range and no sort.
    await this.#tasks.createIndex({ state: 1, taskType: 1, ...TASK_ORDER })
    // Finding what became due, and documents of 2.x, which have no state.
    await this.#tasks.createIndex({ state: 1, dueDate: 1 })
    // MongoDB itself removes what has been kept for long enough.
    await this.#tasks.createIndex({ removeAt: 1 }, { expireAfterSeconds: 0, sparse: true })
  }

  /** Takes the next task that is due, or undefined. @param token unique to this claim */
  async claim(token: string): Promise<Claim | undefined> {
    const next = { ...this.waiting(), $expr: IS_DUE }
    const claiming = this.#tasks.findOneAndUpdate(next, claimFor(token, this.#owner, this.#options.leaseDuration), {
      ...DURABLE,
      sort: TASK_ORDER,
      returnDocument: 'after',
      // Driver 4 always gives { value }, driver 6 only when asked.
      includeResultMetadata: true,
      // Binary comes as a Buffer, as it does from the in-memory queue.
      promoteBuffers: true,
    })
    const { value } = await claiming.catch((error: unknown) => failUnclaimable(this.#tasks, next, token, error))
    return value === null ? undefined : this.toClaim(value)
  }

  /** How many tasks could be claimed now, counted no further than `limit`. */
  countDue(limit: number): Promise<number> {
    return this.#tasks.countDocuments({ ...this.waiting(), $expr: IS_DUE }, { limit })
  }

  async complete({ task, token, isTakenOver }: Claim): Promise<boolean> {
    if (isTakenOver) return this.writeIfHeld(task._id, token, doneBy(token))
    const { deletedCount } = await this.#tasks.deleteOne({ _id: task._id, 'claim.token': token }, DURABLE)
    return deletedCount === 1
  }

  fail(claim: Claim, error: TaskFailure, counts: Counts): Promise<boolean> {
    return this.writeWithError(claim, failed(counts, this.#options.keepFailed), error)
  }

  retry(claim: Claim, error: TaskFailure, counts: Counts, delay: number): Promise<boolean> {
    return this.writeWithError(claim, retried(counts, delay), error)
  }

  release({ task, token }: Claim, { hasStarted, crashes }: Release): Promise<boolean> {
    const attempts = hasStarted ? '$attempts' : { $subtract: ['$attempts', 1] }
    return this.writeIfHeld(task._id, token, [...GIVE_BACK, { $set: { attempts, crashes: crashes ?? '$crashes' } }])
  }

  async isCompleted({ task, token }: Claim): Promise<boolean> {
    const found = await this.#tasks.findOne({ _id: task._id }, { projection: { state: 1, doneToken: 1 } })
    return found === null || (found.state === 'done' && found.doneToken === token)
  }

  async isRecorded({ task }: Claim, { failedAt }: TaskFailure): Promise<boolean> {
    return (await this.#tasks.countDocuments({ _id: task._id, 'error.failedAt': failedAt })) === 1
  }

  async fateOf({ task, token }: Claim): Promise<Fate> {
    const found = await this.#tasks.findOne({ _id: task._id }, { projection: { state: 1, cancelledToken: 1 } })
    if (found === null) return 'removed'
    return found.state === 'cancelled' && found.cancelledToken === token ? 'cancelled' : 'taken'
  }

  /** Which of these claims were cut short by `TaskQueue.cancel`: their tokens. */
  async cancelledAmong(claims: readonly Claim[]): Promise<Set<string>> {
    const filter = { _id: { $in: claims.map(({ task }) => task._id) }, state: 'cancelled' as const }
    const found = await this.#tasks.find(filter, { projection: { cancelledToken: 1 } }).toArray()
    return new Set(found.map(({ cancelledToken = '' }) => cancelledToken))
  }

  /** Extends the leases of these claims, where the task still carries their token. @returns the tokens that do */
  async renew(claims: readonly Claim[]): Promise<Set<string>> {
    const filter = {
      _id: { $in: claims.map(({ task }) => task._id) },
      'claim.token': { $in: claims.map(({ token }) => token) },
    }
    const { matchedCount } = await this.#tasks.updateMany(
      filter,
      [{ $set: { 'claim.expiresAt': inMilliseconds(this.#options.leaseDuration) } }],
      DURABLE,
    )
    const tokens = matchedCount === claims.length ? filter['claim.token'].$in : await this.tokensAmong(filter)
    return new Set(tokens)
  }

  /** The claims that the database has under this master's name; their tasks come without data, which may be large. */
  async findOwn(): Promise<Claim[]> {
    const filter = { state: 'running' as const, 'claim.owner': this.#owner }
    const tasks = await this.#tasks.find(filter, { projection: { data: 0 } }).toArray()
    return tasks.map(task => this.toClaim(task))
  }

  /** Gives back the tasks whose holder, another than this master, did not renew its lease in time. @returns how many */
  async releaseExpired(): Promise<number> {
    const filter = { state: 'running' as const, 'claim.owner': { $ne: this.#owner }, $expr: HAS_EXPIRED }
    const { modifiedCount } = await this.#tasks.updateMany(filter, TAKE_OVER, DURABLE)
    return modifiedCount
  }

  /** Gives back all tasks of these former masters. @returns how many */
  async releaseAllOf(owners: readonly Owner[]): Promise<number> {
    if (owners.length === 0) return 0
    const filter = { state: 'running' as const, 'claim.owner': { $in: [...owners] } }
    const { modifiedCount } = await this.#tasks.updateMany(filter, GIVE_BACK, DURABLE)
    return modifiedCount
  }

  /** Whoever holds a running task, this master included. */
  async owners(): Promise<Owner[]> {
    const owners: unknown[] = await this.#tasks.distinct('claim.owner', { state: 'running' })
    // Null where somebody wrote that by hand.
    return owners.filter(owner => owner !== null) as Owner[]
  }

  /** Keeps `state` true to `dueDate`: what became due, and what a user moved into the future. */
  async followDueDates(): Promise<void> {
    await this.#tasks.updateMany({ state: 'scheduled', $expr: IS_DUE }, { $set: { state: 'waiting' } }, DURABLE)
    await this.#tasks.updateMany({ state: 'waiting', $expr: IS_NOT_DUE }, { $set: { state: 'scheduled' } }, DURABLE)
  }

  /**
   * Makes tasks of documents without a state: those that version 2.x wrote, or somebody by hand.
   *
   * @param includeOngoing also those marked as running, which 2.x resets at its own start, and only then
   * @returns how many
   */
  async adopt(includeOngoing: boolean): Promise<number> {
    const filter = includeOngoing ? { state: null } : { state: null, onGoing: { $ne: true } }
    const { modifiedCount } = await this.#tasks.updateMany(filter as object, ADOPT, DURABLE)
    return modifiedCount
  }

  private async tokensAmong(filter: object): Promise<string[]> {
    return (await this.#tasks.distinct('claim.token', filter)) as string[]
  }

  private waiting(): { readonly state: 'waiting'; readonly taskType: { readonly $in: string[] } } {
    return { state: 'waiting', taskType: { $in: [...this.#options.taskTypes] } }
  }

  /** A document by hand may leave no room for the error; it ends all the same. */
  private async writeWithError({ task, token }: Claim, update: Pipeline, error: TaskFailure): Promise<boolean> {
    try {
      return await this.writeIfHeld(task._id, token, [...update, ...withError(error)])
    } catch (thrown) {
      if (!isTooLarge(thrown)) throw thrown
      return this.writeIfHeld(task._id, token, update)
    }
  }

  private async writeIfHeld(_id: string, token: string, update: Pipeline): Promise<boolean> {
    const { matchedCount } = await this.#tasks.updateOne({ _id, 'claim.token': token }, update, DURABLE)
    return matchedCount === 1
  }

  private toClaim(stored: StoredTask): Claim {
    const { claim, isTakenOver = false } = stored
    return { task: toTask(stored), token: claim?.token ?? '', store: this, isTakenOver }
  }
}

import { TASK_ORDER } from '../../common/order'
import type { TaskFailure } from '../../common/task'
import type { Claim, ClaimStore, Counts, Fate, Release } from './claim'
import type { Owner } from './owner'
import { failUnclaimable } from './unclaimable'
import {
  DURABLE,
  GIVE_BACK,
  IS_DUE,
  type Pipeline,
  type RawCollection,
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

export interface ClaimsOptions {
  /** The types that this master has functions for: it claims no others. */
  readonly taskTypes: readonly string[]
  /** How long a claim is valid without being renewed, in milliseconds. */
  readonly leaseDuration: number
  /** How long failed tasks are kept, in milliseconds, or null for good. */
  readonly keepFailed: number | null
}

/**
 * Every write about a claim to the persistent queue. Each is one atomic update that names the state, or the token,
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

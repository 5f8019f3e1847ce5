import type { Mongo } from 'meteor/mongo'
import { TASK_ORDER } from '../../common/order'
import type { Task, TaskFailure } from '../../common/task'
import type { Claim, ClaimStore } from './claim'
import type { Owner } from './owner'

type RawCollection = ReturnType<Mongo.Collection<StoredTask>['rawCollection']>
type Pipeline = Record<string, unknown>[]

/** A task as MongoDB keeps it: a running one carries its claim. */
interface StoredTask extends Task {
  readonly claim?: { readonly token: string; readonly owner: Owner; readonly claimedAt: Date; readonly expiresAt: Date }
}

/** Written as `$expr`, so that the database's clock decides and not this machine's; an index bounds it all the same. */
const IS_DUE = { $lte: ['$dueDate', '$$NOW'] }
const IS_NOT_DUE = { $gt: ['$dueDate', '$$NOW'] }
const HAS_EXPIRED = { $lte: ['$claim.expiresAt', '$$NOW'] }
const STATE_BY_DUE_DATE = { $cond: [IS_DUE, 'waiting', 'scheduled'] }

/** Acknowledged once it cannot be rolled back, whatever the connection string says. */
const DURABLE = { writeConcern: { w: 'majority' } } as const

/**
 * Every write that the dispatcher makes to the persistent queue, and nothing else writes a task's state. Each is one
 * atomic update that names the state, or the token, that it expects.
 */
export class Claims implements ClaimStore {
  readonly #tasks: RawCollection
  readonly #owner: Owner
  readonly #taskTypes: readonly string[]
  /** Milliseconds. */
  readonly #leaseDuration: number

  /**
   * @param taskTypes the types that this master has functions for: it claims no others
   * @param leaseDuration how long a claim is valid without being renewed, in milliseconds
   */
  constructor(tasks: RawCollection, owner: Owner, taskTypes: readonly string[], leaseDuration: number) {
    this.#tasks = tasks
    this.#owner = owner
    this.#taskTypes = taskTypes
    this.#leaseDuration = leaseDuration
  }

  /** Whether this master claims tasks of this type. */
  claimsType(taskType: string): boolean {
    return this.#taskTypes.includes(taskType)
  }

  async createIndexes(): Promise<void> {
    // Taking the next task: equality on the first two, then the order of all tasks, so no range and no sort.
    await this.#tasks.createIndex({ state: 1, taskType: 1, ...TASK_ORDER })
    // Finding what became due, and documents of 2.x, which have no state.
    await this.#tasks.createIndex({ state: 1, dueDate: 1 })
  }

  /** Takes the next task that is due, or undefined. @param token unique to this claim */
  async claim(token: string): Promise<Claim | undefined> {
    const claim = { token: literal(token), owner: literal(this.#owner), claimedAt: '$$NOW', expiresAt: this.expiry() }
    const { value } = await this.#tasks.findOneAndUpdate(
      { ...this.waiting(), $expr: IS_DUE },
      [{ $set: { state: 'running', claim } }],
      {
        ...DURABLE,
        sort: TASK_ORDER,
        returnDocument: 'after',
        // Driver 4 always gives { value }, driver 6 only when asked.
        includeResultMetadata: true,
        // Binary comes as a Buffer, as it does from the in-memory queue.
        promoteBuffers: true,
      },
    )
    return value === null ? undefined : { task: withoutClaim(value), token, store: this }
  }

  /** How many tasks could be claimed now, counted no further than `limit`. */
  countDue(limit: number): Promise<number> {
    return this.#tasks.countDocuments({ ...this.waiting(), $expr: IS_DUE }, { limit })
  }

  async complete({ task, token }: Claim): Promise<boolean> {
    const { deletedCount } = await this.#tasks.deleteOne({ _id: task._id, 'claim.token': token }, DURABLE)
    return deletedCount === 1
  }

  fail({ task, token }: Claim, error: TaskFailure): Promise<boolean> {
    return this.settle(task._id, token, [{ $set: { state: 'failed', error: literal(error) } }, { $unset: 'claim' }])
  }

  release({ task, token }: Claim, crashes?: number): Promise<boolean> {
    const counted = crashes === undefined ? [] : [{ $set: { crashes } }]
    return this.settle(task._id, token, [...GIVE_BACK, ...counted])
  }

  async isCompleted({ task }: Claim): Promise<boolean> {
    return (await this.#tasks.countDocuments({ _id: task._id }, { limit: 1 })) === 0
  }

  async isFailed({ task }: Claim, { failedAt }: TaskFailure): Promise<boolean> {
    return (await this.#tasks.countDocuments({ _id: task._id, state: 'failed', 'error.failedAt': failedAt })) === 1
  }

  /** Extends the leases of these claims, where the task still carries their token. @returns the tokens that do */
  async renew(claims: readonly Claim[]): Promise<Set<string>> {
    const filter = {
      _id: { $in: claims.map(({ task }) => task._id) },
      'claim.token': { $in: claims.map(({ token }) => token) },
    }
    const { matchedCount } = await this.#tasks.updateMany(
      filter,
      [{ $set: { 'claim.expiresAt': this.expiry() } }],
      DURABLE,
    )
    const tokens = matchedCount === claims.length ? filter['claim.token'].$in : await this.tokensAmong(filter)
    return new Set(tokens)
  }

  /** The claims that the database has under this master's name; their tasks come without data, which may be large. */
  async findOwn(): Promise<Claim[]> {
    const filter = { state: 'running' as const, 'claim.owner': this.#owner }
    const tasks = await this.#tasks.find(filter, { projection: { data: 0 } }).toArray()
    return tasks.map(task => ({ task: withoutClaim(task), token: task.claim?.token ?? '', store: this }))
  }

  /** Gives back the tasks whose holder, another than this master, did not renew its lease in time. @returns how many */
  async releaseExpired(): Promise<number> {
    const filter = { state: 'running' as const, 'claim.owner': { $ne: this.#owner }, $expr: HAS_EXPIRED }
    const { modifiedCount } = await this.#tasks.updateMany(filter, GIVE_BACK, DURABLE)
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
    return (await this.#tasks.distinct('claim.owner', { state: 'running' })) as Owner[]
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

  private expiry(): object {
    return { $add: ['$$NOW', this.#leaseDuration] }
  }

  private waiting(): { readonly state: 'waiting'; readonly taskType: { readonly $in: string[] } } {
    return { state: 'waiting', taskType: { $in: [...this.#taskTypes] } }
  }

  private async settle(_id: string, token: string, update: Pipeline): Promise<boolean> {
    const { matchedCount } = await this.#tasks.updateOne({ _id, 'claim.token': token }, update, DURABLE)
    return matchedCount === 1
  }
}

const GIVE_BACK: Pipeline = [{ $set: { state: STATE_BY_DUE_DATE } }, { $unset: 'claim' }]

/** What 2.x may have left out, or a hand may have got wrong, gets its default. */
const ADOPT: Pipeline = [
  {
    $set: {
      priority: orElse({ $isNumber: '$priority' }, '$priority', 1),
      dueDate: orElse(isOfType('$dueDate', 'date'), '$dueDate', '$$NOW'),
      createdAt: orElse(isOfType('$createdAt', 'date'), '$createdAt', '$$NOW'),
      sequence: 0,
      data: { $ifNull: ['$data', {}] },
    },
  },
  { $set: { state: STATE_BY_DUE_DATE } },
  { $unset: ['onGoing', 'inMemory'] },
]

function orElse(condition: object, value: string, fallback: unknown): object {
  return { $cond: [condition, value, fallback] }
}

function isOfType(path: string, type: string): object {
  return { $eq: [{ $type: path }, type] }
}

/** Within a pipeline, strings that begin with $ would be read as paths. */
function literal(value: unknown): object {
  return { $literal: value }
}

function withoutClaim({ claim: _claim, ...task }: StoredTask): Task {
  return task
}

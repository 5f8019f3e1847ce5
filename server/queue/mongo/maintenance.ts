import { TASK_ORDER } from '../../../common/order'
import type { TaskState } from '../../../common/task'
import type { Owner } from './owner'
import { HAS_EXPIRED } from './schema'
import {
  ADOPT,
  BY_ID,
  DURABLE,
  FOLLOW_DUE_DATE,
  GIVE_BACK,
  IS_DUE,
  IS_STILL_DUE,
  type RawCollection,
  TAKE_OVER,
  inOneReply,
} from './updates'

/** So that a claim need not wait for a long update. */
const PROMOTED_AT_ONCE = 1000

/** What keeps the persistent queue in order: nothing of it is about a claim of this master. */
export class Housekeeping {
  readonly #tasks: RawCollection
  readonly #owner: Owner
  readonly #taskTypes: readonly string[]

  /** @param taskTypes those that this master has functions for */
  constructor(tasks: RawCollection, owner: Owner, taskTypes: readonly string[]) {
    this.#tasks = tasks
    this.#owner = owner
    this.#taskTypes = taskTypes
  }

  /**
   * Each holds one state only: a task that is claimed, and one that is done, costs no more entries than it must, and what is kept of
   * failed tasks none at all.
   */
  async createIndexes(): Promise<void> {
    // Taking the next tasks: equality on the first two, then the order of all tasks, so no range and no sort; and their _id, so no
    // document is read.
    await this.createIndex({ state: 1, taskType: 1, ...TASK_ORDER, _id: 1 }, 'waiting')
    await this.createIndex({ state: 1, dueDate: 1, _id: 1 }, 'scheduled')
    await this.createIndex({ state: 1, 'claim.expiresAt': 1 }, 'running')
    // Documents of 2.x, which have no state.
    await this.createIndex({ state: 1 }, null)
    // MongoDB itself removes what has been kept for long enough.
    await this.#tasks.createIndex({ removeAt: 1 }, { expireAfterSeconds: 0, sparse: true })
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

  /**
   * Whether there may be something for this master to claim or to keep in order: one query, so that a queue in which nothing happens
   * costs no more.
   */
  async needsAttention(): Promise<boolean> {
    const cases: object[] = [
      { state: 'waiting', taskType: { $in: [...this.#taskTypes] }, $expr: IS_STILL_DUE },
      { state: 'scheduled', $expr: IS_DUE },
      { state: 'running', $expr: HAS_EXPIRED },
      { state: null },
    ]
    return (await this.#tasks.findOne({ $or: cases }, { projection: { _id: 1 } })) !== null
  }

  /** Makes the tasks waiting that became due. One that somebody moved into the future is made scheduled when it would be claimed. */
  async promoteDue(): Promise<void> {
    const due = { state: 'scheduled' as const, $expr: IS_DUE }
    const oneReply = inOneReply(PROMOTED_AT_ONCE)
    const next = { sort: { dueDate: 1 }, limit: PROMOTED_AT_ONCE, projection: { _id: 1 }, ...oneReply } as const
    let found
    do {
      found = await this.#tasks.find(due, next).toArray()
      const filter = { _id: { $in: found.map(({ _id }) => _id) }, state: 'scheduled' as const }
      if (found.length > 0) await this.#tasks.updateMany(filter, FOLLOW_DUE_DATE, { ...DURABLE, ...BY_ID })
    } while (found.length === PROMOTED_AT_ONCE)
  }

  /** In how many milliseconds the next scheduled task is due, by the database's clock, and whether it is of this app. */
  async nextDue(): Promise<{ readonly wait: number; readonly isOurs: boolean } | undefined> {
    const projection = { taskType: 1, wait: { $subtract: ['$dueDate', '$$NOW'] } }
    const next = await this.#tasks.findOne<{ readonly taskType: string; readonly wait: number }>(
      { state: 'scheduled' },
      { sort: { dueDate: 1 }, projection },
    )
    return next === null ? undefined : { wait: next.wait, isOurs: this.#taskTypes.includes(next.taskType) }
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

  private async createIndex(keys: Record<string, 1 | -1>, state: TaskState | null): Promise<void> {
    await this.#tasks.createIndex(keys, { partialFilterExpression: { state } })
  }
}

import { TASK_ORDER } from '../../common/order'
import type { Owner } from './owner'
import { ADOPT, DURABLE, GIVE_BACK, HAS_EXPIRED, IS_DUE, IS_NOT_DUE, type RawCollection, TAKE_OVER } from './updates'

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

  async createIndexes(): Promise<void> {
    // Taking the next task: equality on the first two, then the order of all tasks, so no range and no sort.
    await this.#tasks.createIndex({ state: 1, taskType: 1, ...TASK_ORDER })
    // Finding what became due, and documents of 2.x, which have no state.
    await this.#tasks.createIndex({ state: 1, dueDate: 1 })
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
      { state: 'waiting', taskType: { $in: [...this.#taskTypes] }, $expr: IS_DUE },
      { state: 'scheduled', $expr: IS_DUE },
      { state: 'waiting', $expr: IS_NOT_DUE },
      { state: 'running', $expr: HAS_EXPIRED },
      { state: null },
    ]
    return (await this.#tasks.findOne({ $or: cases }, { projection: { _id: 1 } })) !== null
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
}

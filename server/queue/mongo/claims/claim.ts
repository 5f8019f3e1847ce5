import { TASK_ORDER, compareTasks } from '../../../../common/order'
import type { Task } from '../../../../common/task'
import type { Claim, Loss, Rooms } from '../../claim'
import { add } from '../add'
import type { Owner } from '../documents/owner'
import { ClaimedTasks } from './claimed-tasks'
import { findOneAndUpdate } from '../documents/driver'
import { updateAllowed } from '../documents/allowed'
import { Poison, type TaskListener } from './poison'
import {
  BY_ID,
  CANCEL_REQUESTED,
  COMMITTED,
  type Filter,
  type RawCollection,
  type StoredTask,
  inOneReply,
  isRefusedByRule,
  isTooLarge,
  toTask,
  tokenOf,
} from '../documents/schema'
import { heldByAny } from './settle'
import { FOLLOW_DUE_DATE, MAY_BE_DUE, type Pipeline, claimFor, renewed } from '../documents/updates'
import { FOUND_FIELDS, lossIn } from './verdict'

/**
 * MongoDB merges the sorted index scans of at most 200 types (internalQueryMaxScansToExplode). Above that, it would
 * sort the whole backlog.
 */
const TYPES_PER_QUERY = 100

/**
 * Half of `MAX_TASKS_PER_CLAIM`. The two halves run in parallel: one can be read while the other is still updated.
 * Measured: 5 % of `drain-noop`.
 */
const TASKS_PER_UPDATE = 250

/**
 * How many tasks with a due date in the future one update makes `scheduled`. One command for each would hold up the due
 * tasks behind them.
 */
const POSTPONED_PER_UPDATE = 1000

export interface MongoClaimsOptions {
  /** The types that this master has functions for: it claims no others. */
  readonly taskTypes: readonly string[]
  /** Milliseconds for which a claim is valid unless it is renewed. */
  readonly leaseDuration: number
  readonly listener: TaskListener
  readonly rooms: Rooms
}

/** How long a task is left out after a rule of the application has refused its claim. */
const REFUSED_FOR_MS = 60_000

/** Types that one query reads together, and how many of their tasks may be claimed. */
interface Group {
  readonly types: readonly string[]
  readonly room: number
}

/** The fields that order tasks, all of which the index holds. */
type Candidate = Pick<StoredTask, '_id' | 'priority' | 'dueDate' | 'createdAt' | 'sequence'>
const ORDERED_FIELDS = { _id: 1, priority: 1, dueDate: 1, createdAt: 1, sequence: 1 } as const

/** What one poll has found. */
export interface Fetched {
  readonly claims: readonly Claim[]
  /** Whether as many tasks waited as were asked for, even if other masters have claimed some of them meanwhile. */
  readonly mayBeMore: boolean
}

/** Claims tasks of the persistent queue for this master, and renews its claims. */
export class MongoClaims {
  readonly #tasks: RawCollection
  readonly #owner: Owner
  readonly #leaseDuration: number
  readonly #listener: TaskListener
  /** Until when tasks are left out (performance.now), by `_id`: a rule has refused their claims. */
  readonly #refused = new Map<string, number>()
  readonly #poison: Poison
  readonly #claimed: ClaimedTasks
  readonly #taskTypes: readonly string[]
  readonly #rooms: Rooms

  constructor(tasks: RawCollection, owner: Owner, options: MongoClaimsOptions) {
    this.#tasks = tasks
    this.#owner = owner
    this.#leaseDuration = options.leaseDuration
    this.#listener = options.listener
    this.#poison = new Poison(tasks, options.listener)
    this.#claimed = new ClaimedTasks(tasks, this.#poison, this.#listener)
    this.#taskTypes = options.taskTypes
    this.#rooms = options.rooms
  }

  /**
   * Claims the next tasks that are due, in their order.
   *
   * @param batch the first part of their tokens, unique to this call
   * @param limit the most tasks to claim, at least 1
   */
  claim(batch: string, limit: number): Promise<Fetched> {
    const [group, ...others] = this.groups(limit)
    const isOne = limit === 1 && group !== undefined && others.length === 0
    return isOne ? this.claimNext(batch, group) : this.claimMany(batch, limit)
  }

  /**
   * Stores a new task as `add` does, already claimed by this master, in one write. The claim has no expiry until it is
   * renewed, or another master finds it: an insert cannot read the database's clock. An upsert can, but MongoDB 6 looks
   * for its `_id` past the entries of all tasks that were deleted in the last five minutes. Measured after 5,000 tasks:
   * 4.4 instead of 0.9 ms.
   *
   * @throws DuplicateTaskError (rejects) when the `_id` is taken
   */
  async addClaimed(batch: string, added: Task): Promise<Claim> {
    const task: Task = { ...added, state: 'running', attempts: 1 }
    const token = tokenOf(batch, task._id)
    await add({ ...task, claim: { token, owner: this.#owner, lease: this.#leaseDuration } }, this.#tasks)
    return toClaim(task, token)
  }

  /** How many tasks could be claimed now; stops counting at `limit`. */
  async countDue(limit: number): Promise<number> {
    let count = 0
    for (const { room, types } of this.groups(limit)) {
      const due = { ...waiting(types), $expr: MAY_BE_DUE }
      if (count < limit) count += await this.#tasks.countDocuments(due, { limit: Math.min(room, limit - count) })
    }
    return count
  }

  /**
   * Renews the leases of these claims. An expired lease is renewed too, unless another master has taken the task over.
   *
   * @returns why the other claims are not renewed, by token: they are lost, or a rule of the application refuses it
   */
  async renew(claims: readonly Claim[]): Promise<ReadonlyMap<string, Loss | 'refused'>> {
    const refused = new Set<string>()
    const taskRefused = (_id: string, error: unknown) => {
      refused.add(_id)
      this.#listener.taskRefused(_id, error)
    }
    const update = renewed(this.#leaseDuration)
    const count = await updateAllowed(this.#tasks, heldByAny(claims), update, { taskRefused })
    if (count === claims.length) return new Map()
    const keptBack = claims.filter(({ task }) => refused.has(task._id)).map(({ token }) => [token, 'refused'] as const)
    return new Map<string, Loss | 'refused'>([...keptBack, ...(await this.lossesAmong(claims))])
  }

  /** The tokens of the claims whose tasks have a cancel request. */
  async cancelRequestedAmong(claims: readonly Claim[]): Promise<ReadonlySet<string>> {
    const filter = { ...heldByAny(claims), ...CANCEL_REQUESTED }
    const found = await this.#tasks.find(filter, { projection: { 'claim.token': 1 } }).toArray()
    return new Set(found.flatMap(({ claim }) => claim?.token ?? []))
  }

  private async lossesAmong(claims: readonly Claim[]): Promise<ReadonlyMap<string, Loss>> {
    const filter = { _id: { $in: claims.map(({ task }) => task._id) } }
    const found = await this.#tasks
      .find(filter, { projection: FOUND_FIELDS, ...COMMITTED, ...inOneReply(claims.length) })
      .toArray()
    const byId = new Map(found.map(task => [task._id, task]))
    return new Map(
      claims.flatMap(claim => {
        const loss = lossIn(claim, byId.get(claim.task._id) ?? null)
        return loss === undefined ? [] : [[claim.token, loss] as const]
      }),
    )
  }

  /** Claims one task in one command. */
  private async claimNext(batch: string, { types }: Group): Promise<Fetched> {
    const next = this.claimable(types)
    for (let misses = 0; ; misses++) {
      if (misses > 1) await this.postponeMoved()
      const value = await this.findAndClaim(batch, next)
      if (value === 'refused') return this.claimMany(batch, 1)
      if (value === null) return { claims: [], mayBeMore: false }
      if (value?.state === 'running') return { claims: [toClaim(value, tokenOf(batch, value._id))], mayBeMore: true }
    }
  }

  /** @returns null when no task waits, undefined when the next one was failed instead */
  private async findAndClaim(batch: string, next: Filter): Promise<StoredTask | null | undefined | 'refused'> {
    try {
      return await findOneAndUpdate(this.#tasks, next, this.update(batch), { sort: TASK_ORDER })
    } catch (error) {
      if (isRefusedByRule(error)) return 'refused'
      if (isTooLarge(error)) await this.#poison.failUnclaimable(next, error)
      else await this.#poison.failUnreadable(batch, error)
      return undefined
    }
  }

  private async claimMany(batch: string, limit: number): Promise<Fetched> {
    for (let misses = 0; ; misses++) {
      if (misses > 1) await this.postponeMoved()
      const candidates = await this.candidates(limit, this.groups(limit))
      if (candidates.length === 0) return { claims: [], mayBeMore: false }
      const parts = chunksOf(candidates, TASKS_PER_UPDATE)
      const claims = fulfilled(await Promise.allSettled(parts.map(part => this.claimAmong(batch, part))))
      // With no claim, other masters have taken all candidates, or somebody has moved their due dates: try again.
      if (claims.length > 0) return { claims, mayBeMore: candidates.length === limit }
    }
  }

  /**
   * Makes the next tasks `scheduled` if somebody moved their due dates into the future; leaves the others as they are.
   */
  private async postponeMoved(): Promise<void> {
    const groups = groupsOf(this.openTypes, POSTPONED_PER_UPDATE)
    const candidates = await this.candidates(POSTPONED_PER_UPDATE, groups)
    const among = { _id: { $in: candidates }, state: 'waiting' as const }
    await updateAllowed(this.#tasks, among, FOLLOW_DUE_DATE, this.#listener, BY_ID)
  }

  /** The `_id`s of the next tasks in order, read from the index alone. */
  private async candidates(limit: number, groups: readonly Group[]): Promise<string[]> {
    const isMerged = groups.length > 1
    const projection = isMerged ? ORDERED_FIELDS : { _id: 1 }
    const read = ({ room, types }: Group) => {
      const options = { sort: TASK_ORDER, limit: room, projection, ...inOneReply(room) }
      return this.#tasks.find(this.claimable(types), options).toArray() as Promise<Candidate[]>
    }
    const found = await Promise.all(groups.map(read))
    const next = isMerged ? found.flat().sort(compareTasks).slice(0, limit) : found.flat()
    return next.map(({ _id }) => _id)
  }

  /** Reads the tasks after they are claimed: before, anybody may change one, or replace it under the same `_id`. */
  private async claimAmong(batch: string, ids: readonly string[]): Promise<Claim[]> {
    const among = { _id: { $in: [...ids] }, state: 'waiting' as const }
    const taskRefused = (_id: string, error: unknown) => {
      this.#refused.set(_id, performance.now() + REFUSED_FOR_MS)
      this.#listener.taskRefused(_id, error)
    }
    try {
      await updateAllowed(this.#tasks, among, this.update(batch), { taskRefused }, BY_ID)
    } catch (error) {
      // The tasks that were updated before the error are claimed.
      await this.#poison.failUnclaimable(among, error)
    }
    const claimed = await this.#claimed.read(batch, ids)
    return claimed.sort(compareTasks).map(task => toClaim(task, tokenOf(batch, task._id)))
  }

  /** The waiting tasks of these types, without those that are left out. */
  private claimable(types: readonly string[]): Filter {
    for (const [_id, until] of this.#refused) if (until <= performance.now()) this.#refused.delete(_id)
    return this.#refused.size === 0 ? waiting(types) : { ...waiting(types), _id: { $nin: [...this.#refused.keys()] } }
  }

  /** A type that has less room than `limit` is read by a query of its own. */
  private groups(limit: number): Group[] {
    const open = this.openTypes
    const isLimited = (type: string) => this.#rooms.roomOf(type) < limit
    const limited = open.filter(isLimited).map(type => ({ types: [type], room: this.#rooms.roomOf(type) }))
    return [...groupsOf(limited.length === 0 ? open : open.filter(type => !isLimited(type)), limit), ...limited]
  }

  private get openTypes(): string[] {
    return this.#taskTypes.filter(type => this.#rooms.roomOf(type) > 0)
  }

  private update(batch: string): Pipeline {
    return claimFor(batch, this.#owner, this.#leaseDuration)
  }
}

function toClaim(stored: StoredTask, token: string): Claim {
  return {
    task: toTask(stored),
    token,
    inMemory: false,
    isTakenOver: stored.isTakenOver ?? false,
    isCancelRequested: (stored.cancelRequestedAt ?? undefined) !== undefined,
  }
}

// Invariant 6: a master claims only the task types of its own task map.
function waiting(types: readonly string[]): Filter & { readonly state: 'waiting' } {
  return { state: 'waiting', taskType: { $in: [...types] } }
}

function groupsOf(types: readonly string[], room: number): Group[] {
  return chunksOf(types, TYPES_PER_QUERY).map(chunk => ({ types: chunk, room }))
}

function chunksOf<Item>(items: readonly Item[], size: number): Item[][] {
  const count = Math.ceil(items.length / size)
  return Array.from({ length: count }, (_chunk, index) => items.slice(index * size, (index + 1) * size))
}

/** @throws the first error, when there are no items */
function fulfilled<Item>(results: readonly PromiseSettledResult<readonly Item[]>[]): Item[] {
  const items = results.flatMap(result => (result.status === 'fulfilled' ? result.value : []))
  const rejected = results.find(({ status }) => status === 'rejected')
  if (items.length === 0 && rejected?.status === 'rejected') throw rejected.reason
  return items
}

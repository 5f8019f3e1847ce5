import { TASK_ORDER, compareTasks } from '../../../common/order'
import type { Task } from '../../../common/task'
import type { Claim } from '../claim'
import { ClaimEnds } from './settle'
import type { Owner } from './owner'
import { heldByAny, heldTokens } from './held'
import { isTaken } from './add'
import { failUnclaimable, failUnreadable } from './poison'
import { inMilliseconds } from './expressions'
import { claimFor, claimedTask, tokenOf, tokensOf } from './schema'
import { BY_ID, DURABLE, IS_STILL_DUE, type RawCollection, type StoredTask, inOneReply, toTask } from './updates'

/**
 * MongoDB merges the sorted index scans of several types, but no more than 200 of them (internalQueryMaxScansToExplode); above, it
 * would sort the whole backlog.
 */
const TYPES_PER_QUERY = 100

/** Halves of the largest claim, side by side: while one is read the other may still be updated (measured: a twentieth faster). */
const TASKS_PER_UPDATE = 250

export interface ClaimsOptions {
  /** The types that this master has functions for: it claims no others. */
  readonly taskTypes: readonly string[]
  /** How long a claim is valid without being renewed, in milliseconds. */
  readonly leaseDuration: number
  /** How long failed tasks are kept, in milliseconds, or null for good. */
  readonly keepFailed: number | null
}

/** What a task is ordered by, which the index holds. */
type Candidate = Pick<StoredTask, '_id' | 'priority' | 'dueDate' | 'createdAt' | 'sequence'>
const ORDERED_FIELDS = { _id: 1, priority: 1, dueDate: 1, createdAt: 1, sequence: 1 } as const

/** How this master takes tasks of the persistent queue, and what becomes of its claims. */
export class Claims {
  /** Where they end. */
  readonly ends: ClaimEnds
  readonly #tasks: RawCollection
  readonly #owner: Owner
  readonly #leaseDuration: number
  readonly #typeChunks: readonly (readonly string[])[]

  constructor(tasks: RawCollection, owner: Owner, options: ClaimsOptions) {
    this.ends = new ClaimEnds(tasks, options.keepFailed)
    this.#tasks = tasks
    this.#owner = owner
    this.#leaseDuration = options.leaseDuration
    this.#typeChunks = chunksOf(options.taskTypes, TYPES_PER_QUERY)
  }

  /**
   * Takes the next tasks that are due, in their order.
   *
   * @param batch the first part of their tokens, which no other call has
   * @param limit how many at most, from 1
   */
  claim(batch: string, limit: number): Promise<Claim[]> {
    return limit === 1 && this.#typeChunks.length === 1 ? this.claimNext(batch) : this.claimMany(batch, limit)
  }

  /** Stores a new task as a claim of this master. @returns undefined when its `_id` is taken */
  async insert(batch: string, task: Task): Promise<Claim | undefined> {
    const claimed = claimedTask(task, batch, this.#owner, this.#leaseDuration)
    try {
      await this.#tasks.insertOne(claimed, DURABLE)
    } catch (error) {
      if (isTaken(error)) return undefined
      throw error
    }
    return this.toClaim(claimed, tokenOf(batch, task._id))
  }

  /** How many tasks could be claimed now, counted no further than `limit`. */
  async countDue(limit: number): Promise<number> {
    let count = 0
    for (const types of this.#typeChunks) {
      const due = { ...waiting(types), $expr: IS_STILL_DUE }
      if (count < limit) count += await this.#tasks.countDocuments(due, { limit: limit - count })
    }
    return count
  }

  /** Which of these claims were cut short by `TaskQueue.cancel`: their tokens. */
  async cancelledAmong(claims: readonly Claim[]): Promise<Set<string>> {
    const filter = { _id: { $in: claims.map(({ task }) => task._id) }, state: 'cancelled' as const }
    const found = await this.#tasks.find(filter, { projection: { cancelledToken: 1 } }).toArray()
    return new Set(found.map(({ cancelledToken = '' }) => cancelledToken))
  }

  /** Extends the leases of these claims, where the task still carries their token. @returns the tokens that do */
  async renew(claims: readonly Claim[]): Promise<Set<string>> {
    const { matchedCount } = await this.#tasks.updateMany(
      heldByAny(claims),
      [{ $set: { 'claim.expiresAt': inMilliseconds(this.#leaseDuration) } }],
      DURABLE,
    )
    return matchedCount === claims.length ? new Set(claims.map(({ token }) => token)) : heldTokens(this.#tasks, claims)
  }

  /** The claims that the database has under this master's name; their tasks come without data, which may be large. */
  async findOwn(): Promise<Claim[]> {
    const filter = { state: 'running' as const, 'claim.owner': this.#owner }
    const tasks = await this.#tasks.find(filter, { projection: { data: 0 } }).toArray()
    return tasks.map(task => this.toClaim(task, task.claim?.token ?? ''))
  }

  /** One command for one task. */
  private async claimNext(batch: string): Promise<Claim[]> {
    const next = waiting(this.#typeChunks[0] ?? [])
    for (;;) {
      const claiming = this.#tasks.findOneAndUpdate(next, this.update(batch), {
        ...DURABLE,
        sort: TASK_ORDER,
        returnDocument: 'after',
        // Driver 4 always gives { value }, driver 6 only when asked.
        includeResultMetadata: true,
        ...AS_IN_MEMORY,
      })
      const { value } = await claiming.catch((error: unknown) => failUnclaimable(this.#tasks, next, batch, error))
      if (value === null) return []
      if (value.state === 'running') return [this.toClaim(value, tokenOf(batch, value._id))]
    }
  }

  private async claimMany(batch: string, limit: number): Promise<Claim[]> {
    for (;;) {
      const candidates = await this.candidates(limit)
      if (candidates.length === 0) return []
      const parts = chunksOf(candidates, TASKS_PER_UPDATE)
      const claims = (await Promise.all(parts.map(part => this.claimAmong(batch, part)))).flat()
      // None: other masters have taken all of these, or somebody has moved them into the future.
      if (claims.length > 0) return claims
    }
  }

  /** The `_id`s of the next in order; from the index alone. */
  private async candidates(limit: number): Promise<string[]> {
    const isMerged = this.#typeChunks.length > 1
    const projection = isMerged ? ORDERED_FIELDS : { _id: 1 }
    const options = { sort: TASK_ORDER, limit, projection, ...inOneReply(limit) }
    const found = await Promise.all(
      this.#typeChunks.map(types => this.#tasks.find(waiting(types), options).toArray() as Promise<Candidate[]>),
    )
    const next = isMerged ? found.flat().sort(compareTasks).slice(0, limit) : found.flat()
    return next.map(({ _id }) => _id)
  }

  /** The tasks are read once they are claimed: before, anybody may change them, or replace one by another of its `_id`. */
  private async claimAmong(batch: string, ids: readonly string[]): Promise<Claim[]> {
    const among = { _id: { $in: [...ids] }, state: 'waiting' as const }
    await this.#tasks
      .updateMany(among, this.update(batch), { ...DURABLE, ...BY_ID })
      .catch((error: unknown) => failUnclaimable(this.#tasks, among, batch, error))
    const claimed = await this.readClaimed(batch, ids)
    return claimed.sort(compareTasks).map(task => this.toClaim(task, tokenOf(batch, task._id)))
  }

  private async readClaimed(batch: string, ids: readonly string[]): Promise<StoredTask[]> {
    const held = { _id: { $in: [...ids] }, 'claim.token': tokensOf(batch) }
    const options = { ...AS_IN_MEMORY, ...inOneReply(ids.length), projection: { claim: 0 } }
    try {
      return await this.#tasks.find(held, options).toArray()
    } catch (error) {
      return failUnreadable(this.#tasks, batch, error)
    }
  }

  private update(batch: string): ReturnType<typeof claimFor> {
    return claimFor(batch, this.#owner, this.#leaseDuration)
  }

  private toClaim(stored: StoredTask, token: string): Claim {
    return { task: toTask(stored), token, store: this.ends, isTakenOver: stored.isTakenOver ?? false }
  }
}

/** Binary comes as a Buffer, as it does from the in-memory queue. */
const AS_IN_MEMORY = { promoteBuffers: true } as const

function waiting(types: readonly string[]): {
  readonly state: 'waiting'
  readonly taskType: { readonly $in: string[] }
} {
  return { state: 'waiting', taskType: { $in: [...types] } }
}

/** At least one chunk, which may be empty. */
function chunksOf<Item>(items: readonly Item[], size: number): Item[][] {
  const count = Math.max(1, Math.ceil(items.length / size))
  return Array.from({ length: count }, (_chunk, index) => items.slice(index * size, (index + 1) * size))
}

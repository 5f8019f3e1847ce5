import { createId } from '../../../common/id'
import type { Retention } from '../retention'
import { Poison, type TaskListener } from './claims/poison'
import { ifAllowed, updateAllowed } from './documents/allowed'
import { findOneAndUpdate } from './documents/driver'
import { type MissingIndex, createIndexes } from './documents/indexes'
import type { Owner } from './documents/owner'
import { PAUSED, type PauseCollection, pausedTypes } from './pauses'
import {
  BY_ID,
  CANCEL_REQUESTED,
  DURABLE,
  type Filter,
  HAS_UNKNOWN_STATE,
  NO_CANCEL_REQUESTED,
  type RawCollection,
  inOneReply,
  isTooLarge,
  toTask,
} from './documents/schema'
import {
  ADOPT,
  FOLLOW_DUE_DATE,
  HAS_EXPIRED,
  MAY_BE_DUE,
  type Pipeline,
  SET_EXPIRY,
  WITHOUT_EXPIRY,
  rescued,
} from './documents/updates'

/** The most tasks in one update, so that no claim waits for a long one. */
export const BATCH_SIZE = 1000

/**
 * The types that MongoDB sorts after dates. A due date of one of these types would never be reached: the task is
 * promoted, claimed, and then failed. Types that sort before dates count as past.
 */
const IS_AFTER_DATES = { $type: ['timestamp', 'regex', 'dbPointer', 'javascript', 'javascriptWithScope', 'maxKey'] }
const NEVER_DUE = { dueDate: IS_AFTER_DATES } as object

/** As for due dates: other code wrote the claim. */
const NEVER_EXPIRES = { 'claim.expiresAt': IS_AFTER_DATES } as object

/** A condition on `dueDate` alone: a range over the index of scheduled tasks. */
const IS_DUE_BY_INDEX = { $expr: { $lte: ['$dueDate', '$$NOW'] } }

export interface MaintenanceOptions {
  /** The types that this master has functions for. */
  readonly taskTypes: readonly string[]
  readonly retention: Retention
  readonly pauses: PauseCollection
  /** Hears of each task that is cancelled in place of its holder, or failed, or may not be changed. */
  readonly listener: TaskListener
}

/**
 * `waiting`: tasks that this master could claim. `due`: tasks that are due and still `scheduled`. `expired`: tasks
 * whose lease has expired, or has yet to begin. `stateless`: documents without a state.
 */
export type Finding = 'waiting' | 'due' | 'expired' | 'stateless'

/** What one poll has found. */
export interface Found {
  readonly findings: ReadonlySet<Finding>
  readonly paused: readonly string[]
}

/** Waiting tasks of a type that this master has no function for. */
export interface StrandedType {
  readonly taskType: string
  /** `STRANDED_MAX_COUNT` means at least that many. */
  readonly count: number
  /** Milliseconds since the oldest of those that were counted was created. */
  readonly age: number
}

/** Waiting tasks that this master does not run. */
export interface Stranded {
  readonly types: readonly StrandedType[]
  /** How many more types there are. */
  readonly others: number
  /** How many tasks have a type that is no text: other code wrote them, and no app runs them. */
  readonly untyped: number
}

/** How many stranded tasks to count for one type, and for how many types: another app's backlog may have millions. */
export const STRANDED_MAX_COUNT = 10_000
const STRANDED_MAX_TYPES = 20

type FoundDocument = { readonly is: Finding } | { readonly paused: string }

const NOT_ONGOING = { onGoing: { $ne: true } }

function findingPipeline(is: Finding, filter: object): Pipeline {
  return [{ $match: filter }, { $limit: 1 }, { $project: { _id: 0, is: { $literal: is } } }]
}

/** Maintains the persistent queue. It never touches a claim that this master holds. */
export class MongoMaintenance {
  readonly #tasks: RawCollection
  readonly #taskTypes: readonly string[]
  readonly #keepFailed: object
  readonly #listener: TaskListener
  readonly #poison: Poison
  readonly #pauses: PauseCollection
  #arePausesRead = true
  /** One pipeline for each condition. Each finds at most one task, by an index. */
  readonly #findingPipelines: readonly Pipeline[]

  constructor(tasks: RawCollection, { listener, pauses, retention, taskTypes }: MaintenanceOptions) {
    this.#tasks = tasks
    this.#taskTypes = taskTypes
    this.#keepFailed = retention.keepFailedExpression
    this.#listener = listener
    this.#poison = new Poison(tasks, listener)
    this.#pauses = pauses
    this.#findingPipelines = [
      findingPipeline('waiting', { state: 'waiting', taskType: { $in: [...taskTypes] }, $expr: MAY_BE_DUE }),
      findingPipeline('due', { state: 'scheduled', ...IS_DUE_BY_INDEX }),
      findingPipeline('due', { state: 'scheduled', ...NEVER_DUE }),
      findingPipeline('expired', { state: 'running', $expr: HAS_EXPIRED }),
      findingPipeline('expired', { state: 'running', ...NEVER_EXPIRES }),
      findingPipeline('stateless', { state: null }),
    ]
  }

  /**
   * Creates the missing indexes.
   *
   * @returns the indexes that MongoDB refuses to create, and why
   * @throws when the database does not answer (rejects)
   */
  createIndexes(): Promise<MissingIndex[]> {
    return createIndexes(this.#tasks)
  }

  /**
   * Releases the tasks whose leases have expired. Tasks with a cancel request are cancelled one by one, since each
   * needs an event. The lease of a claim that has no expiry yet begins now.
   *
   * @param held the tokens of this master's own claims: it renews them, however late
   * @returns how many tasks were released
   */
  async rescueExpired(held: readonly string[]): Promise<number> {
    const others = { state: 'running' as const, 'claim.token': { $nin: [...held] } }
    await updateAllowed(this.#tasks, { ...others, ...WITHOUT_EXPIRY }, SET_EXPIRY, this.#listener)
    const expired = { $nor: [WITHOUT_EXPIRY], $or: [{ $expr: HAS_EXPIRED }, NEVER_EXPIRES] }
    return this.rescue({ ...others, ...expired }, true)
  }

  /** Releases all tasks of these owners, whose processes are gone. @returns how many */
  async rescueFrom(owners: readonly Owner[]): Promise<number> {
    if (owners.length === 0) return 0
    return this.rescue({ state: 'running', 'claim.owner.id': { $in: owners.map(({ id }) => id) } }, false)
  }

  /** The owners of all running tasks, this master included. */
  async owners(): Promise<Owner[]> {
    const owners: unknown[] = await this.#tasks.distinct('claim.owner', { state: 'running' })
    // Other code may have written anything there.
    return owners.filter(owner => typeof (owner as Partial<Owner> | null)?.id === 'string') as Owner[]
  }

  /**
   * What this master has to claim or to maintain, and which types are paused. It is one command, and an idle queue
   * costs no other.
   */
  async poll(): Promise<Found> {
    const [first = [], ...others] = this.#findingPipelines
    const unions = others.map(pipeline => ({ $unionWith: { coll: this.#tasks.collectionName, pipeline } }))
    const paused = { $unionWith: { coll: this.#pauses.collectionName, pipeline: PAUSED } }
    const all = [...first, ...unions, ...(this.#arePausesRead ? [paused] : [])]
    const found = await this.#tasks.aggregate<FoundDocument>(all).toArray()
    return {
      findings: new Set(found.flatMap(document => ('is' in document ? document.is : []))),
      paused: found.flatMap(document => ('paused' in document ? document.paused : [])),
    }
  }

  /** From now on, `poll` finds no paused type: the database refuses to read them. */
  ignorePauses(): void {
    this.#arePausesRead = false
  }

  pausedTypes(): Promise<string[]> {
    return pausedTypes(this.#pauses)
  }

  /**
   * Makes the scheduled tasks that are due `waiting`. The reverse happens when a claim reaches a waiting task whose due
   * date somebody moved into the future.
   *
   * @returns how many scheduled tasks were due, at most `BATCH_SIZE`
   */
  async promoteDue(): Promise<number> {
    const due = { state: 'scheduled' as const, $or: [IS_DUE_BY_INDEX, NEVER_DUE] }
    const found = await this.idsOf(due, { dueDate: 1 })
    const filter = { _id: { $in: found }, state: 'scheduled' as const }
    if (found.length > 0) await updateAllowed(this.#tasks, filter, FOLLOW_DUE_DATE, this.#listener, BY_ID)
    return found.length
  }

  /** The `_id`s of the first `BATCH_SIZE` such documents. Other code may have given them any. */
  private async idsOf(filter: Filter, sort: Record<string, 1> = {}): Promise<string[]> {
    const next = { sort, limit: BATCH_SIZE, projection: { _id: 1 }, ...inOneReply(BATCH_SIZE) } as const
    return (await this.#tasks.find(filter, next).toArray()).map(({ _id }) => _id)
  }

  /** Milliseconds until the next scheduled task is due, by the database's clock, and whether this app has its type. */
  async nextDue(): Promise<{ readonly wait: number; readonly isOurs: boolean } | undefined> {
    const projection = { taskType: 1, wait: { $subtract: ['$dueDate', '$$NOW'] } }
    const next = await this.#tasks.findOne<{ readonly taskType: string; readonly wait: number }>(
      { state: 'scheduled', dueDate: { $type: 'date' } } as Filter,
      { sort: { dueDate: 1 }, projection },
    )
    return next === null ? undefined : { wait: next.wait, isOurs: this.#taskTypes.includes(next.taskType) }
  }

  /** The types of waiting tasks that this master has no functions for. Reads only the index of waiting tasks. */
  async stranded(): Promise<Stranded> {
    const types: unknown[] = await this.#tasks.distinct('taskType', { state: 'waiting' })
    const foreign = types.filter(type => typeof type === 'string').filter(type => !this.#taskTypes.includes(type))
    const named = foreign.slice(0, STRANDED_MAX_TYPES)
    const untyped = { state: 'waiting', taskType: { $not: { $type: 'string' } } } as object
    return {
      types: await Promise.all(named.map(type => this.strandedOf(type))),
      others: foreign.length - named.length,
      untyped: await this.#tasks.countDocuments(untyped, { limit: STRANDED_MAX_COUNT }),
    }
  }

  private async strandedOf(taskType: string): Promise<StrandedType> {
    const [found] = await this.#tasks
      .aggregate<{ readonly count: number; readonly age: number }>([
        { $match: { state: 'waiting', taskType } },
        { $limit: STRANDED_MAX_COUNT },
        { $group: { _id: null, count: { $sum: 1 }, oldest: { $min: '$createdAt' } } },
        {
          $project: {
            count: 1,
            age: { $cond: [{ $eq: [{ $type: '$oldest' }, 'date'] }, { $subtract: ['$$NOW', '$oldest'] }, 0] },
          },
        },
      ])
      .toArray()
    return { taskType, count: found?.count ?? 0, age: found?.age ?? 0 }
  }

  /**
   * Turns documents without a state into tasks: version 2.x wrote them, or other code.
   *
   * @param includeOngoing whether to include those marked as running, which 2.x resets at its own start only
   * @returns how many there were, at most `BATCH_SIZE`
   */
  async adopt(includeOngoing: boolean): Promise<number> {
    const those = { state: null, ...(includeOngoing ? {} : NOT_ONGOING) } as object
    const found = await this.idsOf(those)
    if (found.length > 0) await this.adoptAmong({ ...those, _id: { $in: found } })
    return found.length
  }

  /** As `adopt`, for documents with a state that no version uses. It reads the whole collection. */
  async adoptUnknown(): Promise<void> {
    await updateAllowed(this.#tasks, { ...HAS_UNKNOWN_STATE, ...NOT_ONGOING }, ADOPT, this.#listener)
  }

  private async adoptAmong(filter: Filter & { readonly _id: { readonly $in: readonly string[] } }): Promise<void> {
    try {
      await updateAllowed(this.#tasks, filter, ADOPT, this.#listener)
    } catch (error) {
      if (!isTooLarge(error)) throw error
      // The documents before the first that is too large are adopted.
      const each = filter._id.$in.map(_id => ifAllowed(_id, this.#listener, () => this.adoptOne({ ...filter, _id })))
      await Promise.all(each)
    }
  }

  private async adoptOne(filter: Filter & { readonly _id: string }): Promise<void> {
    try {
      await this.#tasks.updateOne(filter, ADOPT, DURABLE)
    } catch (error) {
      if (!isTooLarge(error)) throw error
      await this.#poison.failUnadoptable(filter, error)
    }
  }

  /** @param mayLive whether the former holders may still live */
  private async rescue(filter: Filter, mayLive: boolean): Promise<number> {
    const update = rescued(mayLive, this.#keepFailed)
    const count = await updateAllowed(this.#tasks, { ...filter, ...NO_CANCEL_REQUESTED }, update, this.#listener)
    await this.cancelInPlace({ ...filter, ...CANCEL_REQUESTED }, mayLive)
    return count
  }

  private async cancelInPlace(filter: Filter, mayLive: boolean): Promise<void> {
    for (const _id of await this.idsOf(filter)) {
      const update = rescued(mayLive, this.#keepFailed, createId())
      const cancel = () => findOneAndUpdate(this.#tasks, { ...filter, _id }, update)
      const task = await ifAllowed(_id, this.#listener, cancel)
      if (task) this.#listener.emitCancelled(toTask(task))
    }
  }
}

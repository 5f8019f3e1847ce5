import { createId } from '../../../common/id'
import type { Task } from '../../../common/task'
import type { Retention } from '../retention'
import { findOneAndUpdate } from './documents/driver'
import { type MissingIndex, createIndexes } from './documents/indexes'
import type { Owner } from './documents/owner'
import { type PauseCollection, pausedTypes } from './pauses'
import {
  BY_ID,
  CANCEL_REQUESTED,
  DURABLE,
  type Filter,
  HAS_UNKNOWN_STATE,
  NO_CANCEL_REQUESTED,
  type RawCollection,
  inOneReply,
  toTask,
} from './documents/schema'
import { ADOPT, FOLLOW_DUE_DATE, HAS_EXPIRED, IS_STILL_DUE, type Pipeline, rescued } from './documents/updates'

/** The most tasks in one update, so that no claim waits for a long one. */
const BATCH_SIZE = 1000

/**
 * The types that MongoDB sorts after dates. A due date of one of these types would never be reached: the task is
 * promoted, claimed, and then failed. Types that sort before dates count as past.
 */
const NEVER_DUE = { dueDate: { $type: ['timestamp', 'regex', 'javascript', 'maxKey'] } } as object

/** A condition on `dueDate` alone: a range over the index of scheduled tasks. */
const IS_DUE_BY_INDEX = { $expr: { $lte: ['$dueDate', '$$NOW'] } }

export interface MaintenanceOptions {
  /** The types that this master has functions for. */
  readonly taskTypes: readonly string[]
  readonly retention: Retention
  readonly pauses: PauseCollection
  /** Called for each task that a rescue has cancelled in place of its holder. */
  readonly cancelled: (task: Task) => void
}

/**
 * `waiting`: tasks that this master could claim. `due`: tasks that are due and still `scheduled`. `expired`: tasks
 * whose lease has expired. `stateless`: documents without a state.
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

/** How many stranded tasks to count for one type, and for how many types: another app's backlog may have millions. */
export const STRANDED_MAX_COUNT = 10_000
const STRANDED_MAX_TYPES = 20

type FoundDocument = { readonly is: Finding } | { readonly paused: string }

const PAUSED = { $project: { _id: 0, paused: '$_id' } }

function findingPipeline(is: Finding, filter: object): Pipeline {
  return [{ $match: filter }, { $limit: 1 }, { $project: { _id: 0, is: { $literal: is } } }]
}

/** Maintains the persistent queue. It never touches a claim that this master holds. */
export class MongoMaintenance {
  readonly #tasks: RawCollection
  readonly #taskTypes: readonly string[]
  readonly #keepFailed: object
  readonly #cancelled: (task: Task) => void
  readonly #pauses: PauseCollection
  /** One pipeline for each condition. Each finds at most one task, by an index. */
  readonly #findingPipelines: readonly Pipeline[]

  constructor(tasks: RawCollection, { cancelled, pauses, retention, taskTypes }: MaintenanceOptions) {
    this.#tasks = tasks
    this.#taskTypes = taskTypes
    this.#keepFailed = retention.keepFailedExpression
    this.#cancelled = cancelled
    this.#pauses = pauses
    this.#findingPipelines = [
      findingPipeline('waiting', { state: 'waiting', taskType: { $in: [...taskTypes] }, $expr: IS_STILL_DUE }),
      findingPipeline('due', { state: 'scheduled', ...IS_DUE_BY_INDEX }),
      findingPipeline('due', { state: 'scheduled', ...NEVER_DUE }),
      findingPipeline('expired', { state: 'running', $expr: HAS_EXPIRED }),
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
   * needs an event.
   *
   * @param held the tokens of this master's own claims: it renews them, however late
   * @returns how many tasks were released
   */
  rescueExpired(held: readonly string[]): Promise<number> {
    return this.rescue({ state: 'running', 'claim.token': { $nin: [...held] }, $expr: HAS_EXPIRED }, true)
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
    const paused = { $unionWith: { coll: this.#pauses.collectionName, pipeline: [PAUSED] } }
    const found = await this.#tasks.aggregate<FoundDocument>([...first, ...unions, paused]).toArray()
    return {
      findings: new Set(found.flatMap(document => ('is' in document ? document.is : []))),
      paused: found.flatMap(document => ('paused' in document ? document.paused : [])),
    }
  }

  pausedTypes(): Promise<string[]> {
    return pausedTypes(this.#pauses)
  }

  /**
   * Makes the scheduled tasks that are due `waiting`. The reverse happens when a claim reaches a waiting task whose due
   * date somebody moved into the future.
   *
   * @returns how many scheduled tasks were due
   */
  async promoteDue(): Promise<number> {
    const due = { state: 'scheduled' as const, $or: [IS_DUE_BY_INDEX, NEVER_DUE] }
    const oneReply = inOneReply(BATCH_SIZE)
    const next = { sort: { dueDate: 1 }, limit: BATCH_SIZE, projection: { _id: 1 }, ...oneReply } as const
    let count = 0
    let found
    do {
      found = await this.#tasks.find(due, next).toArray()
      const filter = { _id: { $in: found.map(({ _id }) => _id) }, state: 'scheduled' as const }
      if (found.length > 0) await this.#tasks.updateMany(filter, FOLLOW_DUE_DATE, { ...DURABLE, ...BY_ID })
      count += found.length
    } while (found.length === BATCH_SIZE)
    return count
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
  async stranded(): Promise<{ readonly types: readonly StrandedType[]; readonly others: number }> {
    const types: unknown[] = await this.#tasks.distinct('taskType', { state: 'waiting' })
    const foreign = types.filter(type => typeof type === 'string').filter(type => !this.#taskTypes.includes(type))
    const named = foreign.slice(0, STRANDED_MAX_TYPES)
    return {
      types: await Promise.all(named.map(type => this.strandedOf(type))),
      others: foreign.length - named.length,
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
   * @returns how many
   */
  adopt(includeOngoing: boolean): Promise<number> {
    return this.adoptMatching({ state: null } as object, includeOngoing)
  }

  /** As `adopt`, for documents with a state that no version uses. It reads the whole collection. */
  async adoptUnknown(): Promise<void> {
    await this.adoptMatching(HAS_UNKNOWN_STATE, false)
  }

  private async adoptMatching(filter: Filter, includeOngoing: boolean): Promise<number> {
    const those = includeOngoing ? filter : { ...filter, onGoing: { $ne: true } }
    return (await this.#tasks.updateMany(those, ADOPT, DURABLE)).modifiedCount
  }

  /** @param mayLive whether the former holders may still live */
  private async rescue(filter: Filter, mayLive: boolean): Promise<number> {
    const update = rescued(mayLive, this.#keepFailed)
    const { modifiedCount } = await this.#tasks.updateMany({ ...filter, ...NO_CANCEL_REQUESTED }, update, DURABLE)
    await this.cancelInPlace({ ...filter, ...CANCEL_REQUESTED }, mayLive)
    return modifiedCount
  }

  private async cancelInPlace(filter: Filter, mayLive: boolean): Promise<void> {
    for (;;) {
      const task = await findOneAndUpdate(this.#tasks, filter, rescued(mayLive, this.#keepFailed, createId()))
      if (task === null) return
      this.#cancelled(toTask(task))
    }
  }
}

/** Reads and writes the schedules of an app in the database. */
import type { Mongo } from 'meteor/mongo'
import { wrongValue } from '../../../common/invalid'
import type { DeclaredSchedule } from '../../../common/schedules'
import { isTaken } from '../mongo/add'
import { sizeOf } from '../mongo/documents/driver'
import { inMilliseconds, literal } from '../mongo/documents/expressions'
import {
  AS_IN_MEMORY,
  COMMITTED,
  DURABLE,
  type RawCollection,
  type StoredTask,
  inOneReply,
} from '../mongo/documents/schema'
import type { Pipeline } from '../mongo/documents/updates'
import { type LastTask, type ScheduleSet, outcomeOf, tickPrefix } from './schedule-set'

export type SetCollection = ReturnType<Mongo.Collection<ScheduleSet>['rawCollection']>

/** MongoDB limits a document to 16 MB; 4 MB are left for the state that masters record. */
const MAX_BYTES = 12 * 1024 * 1024

export type Changed = Pick<ScheduleSet, 'paused' | 'schedules'>

export type TickTaskState = Pick<StoredTask, '_id' | 'state'>

/** @throws InvalidArgumentError if they are too large for one document */
export function checkSetSize(schedules: readonly DeclaredSchedule[]): void {
  const bytes = sizeOf({ schedules })
  if (bytes <= MAX_BYTES) return
  const allowed = `at most ${String(MAX_BYTES)} bytes of BSON for all of them (these have ${String(bytes)})`
  throw wrongValue('new Cluster: schedules', schedules, allowed, 'Store large data elsewhere, and pass its key.')
}

export class StoredSets {
  readonly #sets: () => SetCollection
  readonly #tasks: () => RawCollection

  constructor(sets: () => SetCollection, tasks: () => RawCollection) {
    this.#sets = sets
    this.#tasks = tasks
  }

  /** The schedules of an app, and what the clock of the database says. */
  async read(app: string): Promise<{ readonly set: ScheduleSet; readonly now: Date }> {
    for (;;) {
      const [found] = await this.#sets()
        .aggregate<ScheduleSet & { readonly now: Date }>([{ $match: { _id: app } }, { $set: { now: '$$NOW' } }], {
          ...AS_IN_MEMORY,
          ...COMMITTED,
        })
        .toArray()
      if (found !== undefined) {
        const { now, ...set } = found
        return { set, now }
      }
      await this.create(app)
    }
  }

  /**
   * Replaces the schedules as they were read.
   *
   * @param declaration the master that declares these schedules, and its lease in milliseconds
   * @returns false if somebody has changed them since; nothing is written then
   */
  async replace(
    { _id, revision }: ScheduleSet,
    { paused, schedules }: Changed,
    declaration?: { readonly id: string; readonly startedAt: Date; readonly lease: number },
  ): Promise<boolean> {
    const declaredBy = declaration && {
      id: declaration.id,
      startedAt: literal(declaration.startedAt),
      expiresAt: inMilliseconds(declaration.lease),
    }
    const changed = { revision: revision + 1, schedules: literal(schedules), paused: literal(paused) }
    const update: Pipeline = [{ $set: { ...changed, ...(declaredBy && { declaredBy }) } }]
    const { matchedCount } = await this.#sets().updateOne({ _id, revision }, update, DURABLE)
    return matchedCount === 1
  }

  /** @param lease milliseconds for which the master that has declared the schedules counts as alive; 0 if it stops */
  async renew(app: string, id: string, lease: number): Promise<void> {
    const update: Pipeline = [{ $set: { 'declaredBy.expiresAt': inMilliseconds(lease) } }]
    await this.#sets().updateOne({ _id: app, 'declaredBy.id': id }, update, DURABLE)
  }

  /** The task of a schedule's last tick, whichever master has added it. */
  async lastTask(app: string, name: string): Promise<LastTask | undefined> {
    const prefix = tickPrefix(app, name)
    // A range over the `_id`s: `@` is the last character of the prefix, and `A` comes after it.
    const ofSchedule = { _id: { $gte: prefix, $lt: `${prefix.slice(0, -1)}A` }, schedule: name }
    const newestFirst = { sort: { _id: -1 }, projection: { state: 1 }, ...COMMITTED } as const
    const found = await this.#tasks().findOne<TickTaskState>(ofSchedule, newestFirst)
    if (found === null) return undefined
    return { at: new Date(found._id.slice(prefix.length)), hasEnded: outcomeOf(found) !== undefined }
  }

  /** @returns the tasks among these that exist */
  async tasksOf(ids: readonly string[]): Promise<ReadonlyMap<string, TickTaskState>> {
    if (ids.length === 0) return new Map()
    const options = { projection: { state: 1 }, ...COMMITTED, ...inOneReply(ids.length) }
    const found = await this.#tasks()
      .find<TickTaskState>({ _id: { $in: [...ids] } }, options)
      .toArray()
    return new Map(found.map(task => [task._id, task]))
  }

  private async create(app: string): Promise<void> {
    const empty = { $setOnInsert: { revision: 0, schedules: [], paused: [] } }
    try {
      await this.#sets().updateOne({ _id: app }, empty, { ...DURABLE, upsert: true })
    } catch (error) {
      // Two upserts of the same document ran at once.
      if (!isTaken(error)) throw error
    }
  }
}

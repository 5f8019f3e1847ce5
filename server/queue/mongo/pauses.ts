/** Which task types are paused: for every master, and until they are resumed. */
import type { Mongo } from 'meteor/mongo'
import { isTaken } from './add'
import { COMMITTED, DURABLE } from './documents/schema'
import type { Pipeline } from './documents/updates'

/** The document of a paused type. It is in a collection of its own, so that no reader of the tasks meets it. */
export interface StoredPause {
  /** The task type. */
  readonly _id: string
  /** By the database's clock. */
  readonly pausedAt: Date
}

export type PauseCollection = ReturnType<Mongo.Collection<StoredPause>['rawCollection']>

/** Other code may have written anything as an `_id`. */
const OF_TYPES = { _id: { $type: 'string' as const } }

/** The paused types, as documents `{ paused }`. */
export const PAUSED: Pipeline = [{ $match: OF_TYPES }, { $project: { _id: 0, paused: '$_id' } }]

const PAUSE: Pipeline = [{ $set: { pausedAt: { $ifNull: ['$pausedAt', '$$NOW'] } } }]

/** @returns whether the type was not paused before */
export async function pauseType(pauses: PauseCollection, taskType: string): Promise<boolean> {
  try {
    const { upsertedCount } = await pauses.updateOne({ _id: taskType }, PAUSE, { ...DURABLE, upsert: true })
    return upsertedCount === 1
  } catch (error) {
    // Two upserts of the same type ran at once.
    if (isTaken(error)) return false
    throw error
  }
}

/** @returns whether the type was paused */
export async function resumeType(pauses: PauseCollection, taskType: string): Promise<boolean> {
  return (await pauses.deleteOne({ _id: taskType }, DURABLE)).deletedCount === 1
}

export async function pausedTypes(pauses: PauseCollection): Promise<string[]> {
  return (await pauses.find(OF_TYPES, { projection: { _id: 1 }, ...COMMITTED }).toArray()).map(({ _id }) => _id)
}

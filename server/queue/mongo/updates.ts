/** The updates of tasks in the persistent queue, as pipelines: the database's clock (`$$NOW`) decides, not this machine's. */
import type { Mongo } from 'meteor/mongo'
import type { Task, TaskFailure } from '../../../common/task'
import type { Counts, Release } from '../claim'
import { inMilliseconds, isNumber, isOfType, literal, orElse } from './expressions'
import type { StoredClaim } from './schema'

export type Pipeline = Record<string, unknown>[]

/** A task as MongoDB keeps it. */
export interface StoredTask extends Task {
  /** While it is running. */
  readonly claim?: StoredClaim
  /** Of a task that was stored as a claim, until that ends: when, by the database's clock, as a BSON timestamp. */
  readonly insertedAt?: object
  /** On a cancelled task: the token of the claim that was cut short, by which its master knows that it was its own. */
  readonly cancelledToken?: string
  /** When MongoDB removes it: failed and cancelled tasks, with `keepFailed`, and done ones. */
  readonly removeAt?: Date
  /** It was taken from a master that may still live, and may still try to end it. */
  readonly isTakenOver?: true
  /** On a done task: the token of the claim that ended it. */
  readonly doneToken?: string
}

export type RawCollection = ReturnType<Mongo.Collection<StoredTask>['rawCollection']>

/** Without what only the queue itself is to know. */
export function toTask(stored: StoredTask): Task {
  const {
    claim: _claim,
    insertedAt: _insertedAt,
    cancelledToken: _token,
    removeAt: _removeAt,
    isTakenOver: _over,
    doneToken: _done,
    ...task
  } = stored
  return task
}

/** MongoDB's code for an update whose result would be larger than a document may be. */
const TOO_LARGE = 17_419

export function isTooLarge(error: unknown): boolean {
  return (error as { code?: unknown }).code === TOO_LARGE
}

/** Acknowledged once it cannot be rolled back, whatever the connection string says. */
export const DURABLE = { writeConcern: { w: 'majority' } } as const

/**
 * For an update of tasks that were found before, by `_id` and state. Left to choose, MongoDB tries the index of that state too, which is full
 * of what was claimed lately: half of what a claim of 250 tasks took (measured).
 */
export const BY_ID = { hint: { _id: 1 } } as const

/**
 * For a query that finds at most so many: MongoDB sends them in one reply, as far as 16 MB allow, and no empty one after it. (By itself it sends
 * 101 first.)
 */
export function inOneReply(count: number): { readonly batchSize: number } {
  return { batchSize: count + 1 }
}

export const IS_DUE = { $lte: ['$dueDate', '$$NOW'] }

/**
 * Of a task that was due: nobody has moved it into the future. One that was given no due date is due from its creation on, also where
 * the clock of who added it is ahead.
 */
export const IS_STILL_DUE = { $or: [IS_DUE, { $eq: ['$dueDate', '$createdAt'] }] }

export const WITHOUT_CLAIM: Pipeline = [{ $unset: ['claim', 'insertedAt'] }]

const STATE_BY_DUE_DATE = { $cond: [IS_STILL_DUE, 'waiting', 'scheduled'] }

export const FOLLOW_DUE_DATE: Pipeline = [{ $set: { state: STATE_BY_DUE_DATE } }]

export const GIVE_BACK: Pipeline = [...FOLLOW_DUE_DATE, ...WITHOUT_CLAIM]

/** From a master that may still live. */
export const TAKE_OVER: Pipeline = [...GIVE_BACK, { $set: { isTakenOver: true } }]

/** For so long a master may be cut off from the database, and still find out who ended its task. */
const DONE_KEPT_MS = 24 * 3_600_000

/**
 * The end of a task that was taken over. A done task leaves the queue; but were this one gone, its former master, which may have lost
 * the acknowledgement of the same end, would take it for its own.
 */
export function doneBy(token: string): Pipeline {
  return [
    { $set: { state: 'done', doneToken: literal(token), removeAt: inMilliseconds(DONE_KEPT_MS) } },
    ...WITHOUT_CLAIM,
  ]
}

/** @param keepFailed milliseconds for which failed tasks are kept, or null for good */
export function failed(counts: Counts, keepFailed: number | null): Pipeline {
  return [{ $set: { state: 'failed', ...counts, ...removal(keepFailed) } }, ...WITHOUT_CLAIM]
}

/** @param delay milliseconds until the next attempt */
export function retried(counts: Counts, delay: number): Pipeline {
  return [{ $set: { ...counts, dueDate: inMilliseconds(delay) } }, ...GIVE_BACK]
}

export function released({ hasStarted, crashes, isSuspect }: Release): Pipeline {
  const attempts = hasStarted ? '$attempts' : { $subtract: ['$attempts', 1] }
  const suspicion = isSuspect === undefined ? {} : { isSuspect }
  return [...GIVE_BACK, { $set: { attempts, crashes: crashes ?? '$crashes', ...suspicion } }]
}

export function withError(error: TaskFailure): Pipeline {
  return [{ $set: { error: literal(error) } }]
}

/** For so long at least, so that the master which runs the task sees it. */
const LEAST_CANCELLED_MS = 60_000

/** @param keepFailed milliseconds for which cancelled tasks are kept, or null for good */
export function cancelled(keepFailed: number | null): Pipeline {
  const kept = keepFailed === null ? null : Math.max(keepFailed, LEAST_CANCELLED_MS)
  const change = { state: 'cancelled', cancelledAt: '$$NOW', cancelledToken: '$claim.token' }
  return [{ $set: { ...change, ...removal(kept) } }, ...WITHOUT_CLAIM]
}

/** A failed or cancelled task starts anew; its attempts count on. */
export const START_ANEW: Pipeline = [
  { $set: { state: 'waiting', dueDate: '$$NOW', failures: 0, crashes: 0 } },
  { $unset: ['error', 'cancelledAt', 'cancelledToken', 'removeAt', 'isSuspect'] },
]

/** Makes a task of a document without a state: what 2.x may have left out, or a hand may have got wrong, gets its default. */
export const ADOPT: Pipeline = [
  {
    $set: {
      priority: orElse(isNumber('$priority'), '$priority', 1),
      dueDate: orElse(isOfType('$dueDate', 'date'), '$dueDate', '$$NOW'),
      createdAt: orElse(isOfType('$createdAt', 'date'), '$createdAt', '$$NOW'),
      sequence: 0,
      data: { $ifNull: ['$data', {}] },
    },
  },
  { $set: { state: STATE_BY_DUE_DATE } },
  { $unset: ['onGoing', 'inMemory'] },
]

function removal(keepFailed: number | null): object {
  return keepFailed === null ? {} : { removeAt: inMilliseconds(keepFailed) }
}

/** The document of a task in the collection, and the options that our commands share. */
import type { Mongo } from 'meteor/mongo'
import type { Task, TaskState } from '../../../../common/task'
import type { Owner } from './owner'

export interface StoredClaim {
  readonly token: string
  readonly owner: Owner
  /**
   * When the lease expires, by the database's clock. A claim that was inserted with its task has none yet: an insert
   * cannot read that clock.
   */
  readonly expiresAt?: Date
  /** Milliseconds from when the first renewal, or another master, gives the claim an expiry. */
  readonly lease?: number
}

export interface StoredTask extends Task {
  /** While the task is `running`. */
  readonly claim?: StoredClaim
  /**
   * When `TaskQueue.cancel` was called; only while the task is `running`. The holder of the claim settles the task as
   * `cancelled`.
   */
  readonly cancelRequestedAt?: Date
  /** The token of the claim that was settled last, by which a master recognises its own write. */
  readonly settledBy?: string
  /** Set on a done task that is kept for its `keepDone`, or for its schedule: until then, its `_id` is taken. */
  readonly idHeldUntil?: Date
  /** Set on a done task of which only the `_id` is kept, its state and its times. */
  readonly isBare?: true
  /**
   * What those who wait for the end get: the error of a failed task, or why the result of a done one could not be
   * stored. A `WireError` as JSON.
   */
  readonly failure?: string
  /** `settledBy` of the done task of the same `_id` that this task replaced. */
  readonly replaced?: string
  /** When MongoDB removes the task. Done tasks have it, and failed and cancelled ones if there is a `keepFailed`. */
  readonly removeAt?: Date
  /** The task was rescued from a master that may be alive and may still try to settle it. */
  readonly isTakenOver?: true
}

export type RawCollection = ReturnType<Mongo.Collection<StoredTask>['rawCollection']>
export type Filter = NonNullable<Parameters<RawCollection['findOne']>[0]>

const STATES: Readonly<Record<TaskState, 'unfinished' | 'ended'>> = {
  scheduled: 'unfinished',
  waiting: 'unfinished',
  running: 'unfinished',
  failed: 'ended',
  cancelled: 'ended',
  done: 'ended',
}
export const TASK_STATES = Object.keys(STATES) as TaskState[]
export const ENDED_STATES = TASK_STATES.filter(hasEnded)

export function hasEnded(state: TaskState): boolean {
  return STATES[state] === 'ended'
}

/** Also matches the documents of 2.x and of other code, whose state is missing or unknown. */
export const HAS_NOT_ENDED = { state: { $nin: ENDED_STATES } }

export function isKnownState(state: unknown): boolean {
  return (TASK_STATES as unknown[]).includes(state)
}

/** Documents of 2.x have no state. Any other unknown state is a mistake of other code. */
export const HAS_UNKNOWN_STATE = { state: { $nin: TASK_STATES } }

export const NO_CANCEL_REQUESTED: object = { cancelRequestedAt: null }

/** Matches the tasks that may be deleted when they are done: nobody has asked to cancel them, or watches them. */
export const IS_UNWATCHED: object = { ...NO_CANCEL_REQUESTED, awaited: null, audience: null }
export const CANCEL_REQUESTED: object = { cancelRequestedAt: { $ne: null } }

/** The task without the fields that only the queue itself uses. */
export function toTask(stored: StoredTask): Task {
  const {
    claim: _claim,
    cancelRequestedAt: _requested,
    settledBy: _settledBy,
    idHeldUntil: _idHeldUntil,
    isBare: _isBare,
    failure: _failure,
    replaced: _replaced,
    removeAt: _removeAt,
    isTakenOver: _takenOver,
    ...task
  } = stored
  return task
}

/** MongoDB acknowledges the write once no failover can roll it back, whatever the connection string says. */
// Invariant 1: a task whose `addTask` resolved is on a majority of the members.
export const DURABLE = { writeConcern: { w: 'majority' } } as const

/** Reads only what a majority of the members has, which no failover rolls back. */
export const COMMITTED = { readConcern: { level: 'majority' } } as const

/**
 * For updates, by `_id` and state, of tasks that were found before. Without the hint, MongoDB also tries the index of
 * that state, which is full of entries of recent claims. Measured on `drain-noop`: half of the cost of a claim of 250
 * tasks.
 */
export const BY_ID = { hint: { _id: 1 } } as const

/** Binary data arrives as a Buffer, as it does from the in-memory queue. */
export const AS_IN_MEMORY = { promoteBuffers: true } as const

/**
 * Makes a query for at most `count` documents take one reply, as far as 16 MB allow. By default, the first reply holds
 * 101 documents.
 */
export function inOneReply(count: number): { readonly batchSize: number } {
  return { batchSize: count + 1 }
}

const TOKEN_SEPARATOR = ':'

/**
 * The token of a task in a batch of claims. It leaves out an `_id` that is not a string: that task is failed after it
 * was claimed.
 */
export function tokenOf(batch: string, _id: unknown): string {
  return batch + TOKEN_SEPARATOR + (typeof _id === 'string' ? _id : '')
}

/** `tokenOf` as a MongoDB expression. */
export function tokenExpression(batch: string): object {
  const isText = { $eq: [{ $type: '$_id' }, 'string'] }
  return { $concat: [{ $literal: batch + TOKEN_SEPARATOR }, { $cond: [isText, '$_id', ''] }] }
}

/** Matches all tokens of a batch: `;` is the character after the separator. */
export function tokensOf(batch: string): { readonly $gte: string; readonly $lt: string } {
  return { $gte: batch + TOKEN_SEPARATOR, $lt: `${batch};` }
}

/** MongoDB's codes for an update whose result, or an intermediate one, would be larger than a document may be. */
const TOO_LARGE: readonly unknown[] = [17_419, 10_334]

export function isTooLarge(error: unknown): boolean {
  return TOO_LARGE.includes((error as { code?: unknown }).code)
}

/** MongoDB's code for a value that a unique index holds already. */
export const DUPLICATE_KEY = 11_000

/** MongoDB's codes for a write that a unique index, or a validator, refuses for one document. */
const REFUSED_BY_RULE: readonly unknown[] = [DUPLICATE_KEY, 121]

export function isRefusedByRule(error: unknown): boolean {
  return REFUSED_BY_RULE.includes((error as { code?: unknown }).code)
}

/** MongoDB's codes for a member that is no longer the primary, or is shutting down: another member will answer. */
const TRANSIENT = [91, 189, 10_107, 11_600, 11_602, 13_435]

/** Whether MongoDB replied with an error that is not transient. */
export function isRefusal(error: unknown): boolean {
  const { code } = error as { code?: unknown }
  return typeof code === 'number' && !TRANSIENT.includes(code)
}

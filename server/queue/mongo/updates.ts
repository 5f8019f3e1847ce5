/**
 * The updates of tasks in the persistent queue, as pipelines: the database's clock (`$$NOW`) decides, not this
 * machine's.
 */
import type { Release, Settlement } from '../claim'
import type { Owner } from './owner'
import { tokenExpression } from './schema'

export type Pipeline = Record<string, unknown>[]

/** A due date that is no date counts as past: the task is claimed, and failed for it. */
const IS_DUE = { $or: [{ $lte: ['$dueDate', '$$NOW'] }, { $ne: [{ $type: '$dueDate' }, 'date'] }] }

/**
 * Nobody has moved the task into the future. A task that was added without a due date is due from its creation on, even
 * if the clock of the process that added it is ahead.
 */
export const IS_STILL_DUE = { $or: [IS_DUE, { $eq: ['$dueDate', '$createdAt'] }] }

const STATE_BY_DUE_DATE = { $cond: [IS_STILL_DUE, 'waiting', 'scheduled'] }

export const FOLLOW_DUE_DATE: Pipeline = [{ $set: { state: STATE_BY_DUE_DATE } }]

/** A claim without an expiry, or with one that is no date, was written by somebody else and counts as expired. */
export const HAS_EXPIRED = { $lte: ['$claim.expiresAt', '$$NOW'] }

/**
 * Claims a waiting task if it is due, and makes it `scheduled` otherwise: the search for the next task then needs no
 * condition on due dates, which would be a range over the index.
 *
 * @param batch the first part of its token
 * @param leaseDuration milliseconds
 */
export function claimFor(batch: string, owner: Owner, leaseDuration: number): Pipeline {
  const attempts = orElse(isNumber('$attempts'), '$attempts', 0)
  return [
    {
      $set: {
        state: { $cond: [IS_STILL_DUE, 'running', 'scheduled'] },
        claim: { $cond: [IS_STILL_DUE, claimOf(batch, owner, leaseDuration), '$$REMOVE'] },
        attempts: { $cond: [IS_STILL_DUE, { $add: [attempts, 1] }, attempts] },
      },
    },
  ]
}

export function claimOf(batch: string, owner: Owner, leaseDuration: number): object {
  return { token: tokenExpression(batch), owner: literal(owner), expiresAt: inMilliseconds(leaseDuration) }
}

/** @param leaseDuration milliseconds */
export function renewed(leaseDuration: number): Pipeline {
  return [{ $set: { 'claim.expiresAt': inMilliseconds(leaseDuration) } }]
}

/** Missing sorts before null. `NO_CANCEL_REQUESTED` is the same condition as a filter, negated. */
const IS_CANCEL_REQUESTED = { $gt: ['$cancelRequestedAt', null] }

interface Leaving {
  /** Set in any case. */
  readonly always?: Record<string, unknown>
  /** Set unless there is a request to cancel the task. */
  readonly otherwise: Record<string, unknown>
  /** The token of the claim that is settled; undefined when another master than its holder ends it. */
  readonly settledBy?: string
  /** Milliseconds for which failed and cancelled tasks are kept, or null for good. */
  readonly keepFailed: number | null
}

/** Makes every update that takes a task out of `running`. A task with a request to cancel it becomes `cancelled`. */
export function leaveRunning({ always = {}, otherwise, settledBy, keepFailed }: Leaving): Pipeline {
  const cancelled: Record<string, unknown> = { state: 'cancelled', cancelledAt: '$$NOW', ...removal(keepFailed) }
  const fields = new Set([...Object.keys(otherwise), ...Object.keys(cancelled)])
  const chosen = Object.fromEntries(
    // A field that only one branch sets stays as it is in the other.
    [...fields].map(field => [
      field,
      { $cond: [IS_CANCEL_REQUESTED, cancelled[field] ?? `$${field}`, otherwise[field] ?? `$${field}`] },
    ]),
  )
  const settled = settledBy === undefined ? {} : { settledBy: literal(settledBy) }
  return [{ $set: { ...always, ...chosen, ...settled } }, { $unset: ['claim', 'cancelRequestedAt'] }]
}

/** A done task that was taken over is kept for a day: for this long, its former holder can find out who settled it. */
const DONE_KEPT_MS = 24 * 3_600_000

/**
 * Settles a claim of this master in the way of `settlement`.
 *
 * @param keepFailed milliseconds for which failed and cancelled tasks are kept, or null for good
 */
export function settledAs(settlement: Settlement, settledBy: string, keepFailed: number | null): Pipeline {
  switch (settlement.kind) {
    case 'done':
      return leaveRunning({
        otherwise: { state: 'done', removeAt: inMilliseconds(DONE_KEPT_MS) },
        settledBy,
        keepFailed,
      })
    case 'failed':
      return leaveRunning({
        ...failed(settlement, keepFailed),
        settledBy,
        keepFailed,
      })
    case 'retried':
      return leaveRunning({ otherwise: retried(settlement), settledBy, keepFailed })
    case 'released':
      return leaveRunning({ ...released(settlement), settledBy, keepFailed })
    case 'cancelled':
      return cancelledBy(settlement.hasStarted, settledBy, keepFailed)
  }
}

/** As `settledAs` for a failed task, without the error: a document may have no room for it. */
export function failedWithoutError(settledBy: string, keepFailed: number | null): Pipeline {
  return leaveRunning({ otherwise: { state: 'failed', ...removal(keepFailed) }, settledBy, keepFailed })
}

/** Fails a task that was claimed, and could not be read: it is kept for good. @param message why */
export function failedUnstarted(settledBy: string, message: string): Pipeline {
  const error = { name: 'Error', message: literal(message), stack: null, failedAt: '$$NOW' }
  const otherwise = { state: 'failed', error }
  return leaveRunning({ always: attempts(false), otherwise, settledBy, keepFailed: null })
}

/**
 * Releases claimed tasks that were not read. None is started, so none counts an attempt, and there is no holder that
 * could take this for a write of another.
 */
export const RELEASED_UNREAD: Pipeline = leaveRunning({
  always: attempts(false),
  otherwise: { state: STATE_BY_DUE_DATE },
  keepFailed: null,
})

/**
 * Takes the task from a holder that did not renew its lease, or whose process is gone.
 *
 * @param mayLive whether the former holder may still live, and try to settle the task
 */
export function rescued(mayLive: boolean, keepFailed: number | null, settledBy?: string): Pipeline {
  const always = mayLive ? { isTakenOver: true } : {}
  return leaveRunning({ always, otherwise: { state: STATE_BY_DUE_DATE }, settledBy, keepFailed })
}

/** Cancels a task that is not running; records a request on one that is, for its holder. */
export function cancelled(keepFailed: number | null): Pipeline {
  const ifRunning = (then: unknown, otherwise: unknown) => ({
    $cond: [{ $eq: ['$state', 'running'] }, then, otherwise],
  })
  const { removeAt } = removal(keepFailed)
  return [
    {
      $set: {
        state: ifRunning('running', 'cancelled'),
        cancelRequestedAt: ifRunning({ $ifNull: ['$cancelRequestedAt', '$$NOW'] }, '$$REMOVE'),
        claim: ifRunning('$claim', '$$REMOVE'),
        cancelledAt: ifRunning('$cancelledAt', '$$NOW'),
        removeAt: ifRunning('$removeAt', removeAt ?? '$removeAt'),
        // No earlier holder may take this for its own write.
        settledBy: ifRunning('$settledBy', '$$REMOVE'),
      },
    },
    { $unset: ['onGoing'] },
  ]
}

/**
 * Starts a failed or cancelled task anew; `attempts` counts on, and so does `isTakenOver`: a former holder may still
 * live.
 */
export const START_ANEW: Pipeline = [
  { $set: { state: 'waiting', dueDate: '$$NOW', failures: 0, crashes: 0 } },
  { $unset: ['error', 'cancelledAt', 'removeAt', 'isSuspect', 'settledBy'] },
]

/** Makes a task of a document that 2.x or somebody else wrote: each field that is missing or wrong gets its default. */
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
  { $unset: ['onGoing', 'inMemory', 'claim', 'cancelRequestedAt', 'cancelledAt', 'removeAt', 'settledBy'] },
]

function failed(
  { counts: { attempts, ...counts }, error }: Extract<Settlement, { kind: 'failed' }>,
  keepFailed: number | null,
): Pick<Leaving, 'always' | 'otherwise'> {
  return {
    always: attempts === undefined ? {} : { attempts },
    otherwise: { state: 'failed', ...counts, error: literal(error), ...removal(keepFailed) },
  }
}

function retried({ counts, delay, error }: Extract<Settlement, { kind: 'retried' }>): Record<string, unknown> {
  const state = delay > 0 ? 'scheduled' : 'waiting'
  return { state, dueDate: inMilliseconds(delay), ...counts, error: literal(error) }
}

function released({ hasStarted, crashes, delay, isSuspect }: Release): Pick<Leaving, 'always' | 'otherwise'> {
  const crashed = crashes === undefined ? {} : { crashes }
  const suspicion = isSuspect === undefined ? {} : { isSuspect }
  const due =
    delay === undefined ? { state: STATE_BY_DUE_DATE } : { state: 'scheduled', dueDate: inMilliseconds(delay) }
  return { always: attempts(hasStarted), otherwise: { ...due, ...crashed, ...suspicion } }
}

function cancelledBy(hasStarted: boolean, settledBy: string, keepFailed: number | null): Pipeline {
  const otherwise = { state: 'cancelled', cancelledAt: '$$NOW', ...removal(keepFailed) }
  return leaveRunning({ always: attempts(hasStarted), otherwise, settledBy, keepFailed })
}

/** The claim counted an attempt. */
function attempts(hasStarted: boolean): Record<string, unknown> {
  return hasStarted ? {} : { attempts: { $subtract: ['$attempts', 1] } }
}

function removal(keepFailed: number | null): { readonly removeAt?: object } {
  return keepFailed === null ? {} : { removeAt: inMilliseconds(keepFailed) }
}

// MongoDB's aggregation language.

function inMilliseconds(milliseconds: number): object {
  return { $add: ['$$NOW', milliseconds] }
}

function orElse(condition: object, value: string, fallback: unknown): object {
  return { $cond: [condition, value, fallback] }
}

function isNumber(path: string): object {
  return { $isNumber: path }
}

function isOfType(path: string, type: string): object {
  return { $eq: [{ $type: path }, type] }
}

/** Within a pipeline, strings that begin with $ would be read as paths. */
export function literal(value: unknown): object {
  return { $literal: value }
}

/**
 * The updates of tasks in the persistent queue. They are pipelines, so that the clock of the database (`$$NOW`)
 * decides.
 */
import { MAX_TIMER_MS } from '../../../../common/policy'
import type { ReportFields, Release, Settlement } from '../../claim'
import { FOR_GOOD, OF_AN_END, done, ended, failureOf, ifAwaited } from './ended'
import { inMilliseconds, isNumber, isOfType, isSet, literal, orElse } from './expressions'
import type { Owner } from './owner'
import { tokenExpression } from './schema'

export type Pipeline = Record<string, unknown>[]

/** A due date that is not a date counts as past: the task is claimed, and then failed. */
const IS_DUE = { $or: [{ $lte: ['$dueDate', '$$NOW'] }, { $ne: [{ $type: '$dueDate' }, 'date'] }] }

/** Added in a job by `TaskQueue.run`, which makes it due with the job (`isChild`). */
const IS_CHILD = { $and: [{ $eq: ['$runBy', 'job'] }, { $lt: ['$dueDate', '$createdAt'] }] }

/**
 * Nobody has moved the due date into the future. A task without a due date of its own is due from its creation on, even
 * if the clock of the process that added it is ahead.
 */
const IS_STILL_DUE = { $or: [IS_DUE, { $eq: ['$dueDate', '$createdAt'] }, IS_CHILD] }

/** As above, from the index alone. It also matches tasks that are not due, which their claim makes `scheduled`. */
export const MAY_BE_DUE = { $or: [IS_DUE, { $lte: ['$dueDate', '$createdAt'] }] }

const STATE_BY_DUE_DATE = { $cond: [IS_STILL_DUE, 'waiting', 'scheduled'] }

export const FOLLOW_DUE_DATE: Pipeline = [{ $set: { state: STATE_BY_DUE_DATE } }]

/** Also true for an expiry of a type that MongoDB sorts before dates, and for a claim that has none yet. */
// Invariant 5: the database's clock decides what is expired.
export const HAS_EXPIRED = { $lte: ['$claim.expiresAt', '$$NOW'] }

/**
 * Claims a waiting task if it is due, and makes it `scheduled` otherwise. So the query for the next tasks needs no
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

function claimOf(batch: string, owner: Owner, leaseDuration: number): object {
  return { token: tokenExpression(batch), owner: literal(owner), expiresAt: inMilliseconds(leaseDuration) }
}

/**
 * Matches the claims that were inserted with their tasks, and have no expiry yet. The range keeps out a lease by other
 * code that MongoDB could not add to a date.
 */
export const WITHOUT_EXPIRY = { 'claim.expiresAt': null, 'claim.lease': { $gt: 0, $lte: MAX_TIMER_MS } } as object

export const SET_EXPIRY = renewed('$claim.lease')

/** @param leaseDuration milliseconds, or the path of a field that holds them */
export function renewed(leaseDuration: number | string): Pipeline {
  return [{ $set: { 'claim.expiresAt': inMilliseconds(leaseDuration) } }]
}

/** `NO_CANCEL_REQUESTED` is the same condition as a filter, negated. */
const IS_CANCEL_REQUESTED = isSet('$cancelRequestedAt')

/** Who takes a task out of `running`. */
export interface Settler {
  /** The token of the claim that is settled; undefined when another master takes the task from its holder. */
  readonly settledBy?: string
  /** What its job has reported, and is not stored yet. */
  readonly report?: ReportFields
  /** `Retention.keepFailedExpression`. */
  readonly keepFailed: object
}

interface Leaving extends Settler {
  /** Set in any case. */
  readonly always?: Record<string, unknown>
  /** Set unless there is a cancel request. */
  readonly otherwise: Record<string, unknown>
}

/** Builds every update that takes a task out of `running`. A task with a cancel request becomes `cancelled`. */
export function leaveRunning({ always = {}, otherwise, settledBy, report = {}, keepFailed }: Leaving): Pipeline {
  const cancelled = asCancelled(keepFailed)
  const fields = new Set([...Object.keys(otherwise), ...Object.keys(cancelled)])
  const chosen = Object.fromEntries(
    // A field that only one branch sets keeps its value in the other.
    [...fields].map(field => [
      field,
      { $cond: [IS_CANCEL_REQUESTED, cancelled[field] ?? `$${field}`, otherwise[field] ?? `$${field}`] },
    ]),
  )
  const settled = settledBy === undefined ? {} : { settledBy: literal(settledBy) }
  return [
    // First, so that what follows reads it.
    ...(Object.keys(report).length === 0 ? [] : [{ $set: reported(report) }]),
    { $set: { ...always, ...chosen, ...settled } },
    { $unset: ['claim', 'cancelRequestedAt'] },
  ]
}

export function reported(fields: ReportFields): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([field, value]) => [field, literal(value)]))
}

/** Settles a claim of this master as `settlement` says. */
export function settledAs(settlement: Settlement, by: Settler): Pipeline {
  switch (settlement.kind) {
    case 'done':
      return leaveRunning({ otherwise: done(settlement), ...by })
    case 'failed':
      return leaveRunning({ ...failed(settlement, by), ...by })
    case 'retried':
      return leaveRunning({ otherwise: retried(settlement), ...by })
    case 'released':
      return leaveRunning({ ...released(settlement), ...by })
    case 'cancelled':
      return cancelledBy(settlement.hasStarted, by)
  }
}

/** As `settledAs` for a failed task, but without the error: the document may have no room for it. */
export function failedWithoutError(by: Settler): Pipeline {
  return leaveRunning({ otherwise: { state: 'failed', ...ended(by.keepFailed) }, ...by })
}

/** Fails a claimed task that could not be read; it is kept for good. @param message why */
export function failedUnstarted(settledBy: string, message: string): Pipeline {
  const error = { name: 'Error', message: literal(message), stack: null, failedAt: '$$NOW' }
  const otherwise = { state: 'failed', error, ...ended(FOR_GOOD) }
  return leaveRunning({ always: attempts(false), otherwise, settledBy, keepFailed: FOR_GOOD })
}

/**
 * Releases claimed tasks that were not read. No job has started, so no attempt is counted. There is no `settledBy`,
 * since no holder will look for its own write.
 */
export const RELEASED_UNREAD: Pipeline = leaveRunning({
  always: attempts(false),
  otherwise: { state: STATE_BY_DUE_DATE },
  keepFailed: FOR_GOOD,
})

/**
 * Takes the task from a holder that did not renew its lease, or whose process is gone.
 *
 * @param mayLive whether the former holder may be alive, and may still try to settle the task
 */
export function rescued(mayLive: boolean, keepFailed: object, settledBy?: string): Pipeline {
  const always = mayLive ? { isTakenOver: true } : {}
  return leaveRunning({ always, otherwise: { state: STATE_BY_DUE_DATE }, settledBy, keepFailed })
}

/** Cancels a task that is not running. On a running one, records a cancel request for the holder. */
export function cancelled(keepFailed: object): Pipeline {
  const ifRunning = (then: unknown, otherwise: unknown) => ({
    $cond: [{ $eq: ['$state', 'running'] }, then, otherwise],
  })
  const { awaited, endedAt, removeAt } = ended(keepFailed)
  return [
    {
      $set: {
        state: ifRunning('running', 'cancelled'),
        cancelRequestedAt: ifRunning({ $ifNull: ['$cancelRequestedAt', '$$NOW'] }, '$$REMOVE'),
        claim: ifRunning('$claim', '$$REMOVE'),
        cancelledAt: ifRunning('$cancelledAt', '$$NOW'),
        endedAt: ifRunning('$endedAt', endedAt),
        awaited: ifRunning('$awaited', awaited),
        removeAt: ifRunning('$removeAt', removeAt),
        // No earlier holder may take this for its own write.
        settledBy: ifRunning('$settledBy', '$$REMOVE'),
      },
    },
    { $unset: ['onGoing'] },
  ]
}

/**
 * Starts a failed or cancelled task anew. `attempts` goes on counting, and `isTakenOver` stays, since a former holder
 * may still be alive.
 */
export const START_ANEW: Pipeline = [
  {
    $set: {
      state: 'waiting',
      dueDate: '$$NOW',
      failures: 0,
      crashes: 0,
      // Who has not noticed the first end yet waits for the next one.
      awaited: ifAwaited('result'),
      // The master that has failed the task may still have to find out that its write was the one.
      settledBy: orElse({ $eq: ['$state', 'failed'] }, '$settledBy', '$$REMOVE'),
    },
  },
  { $unset: ['error', 'cancelledAt', 'removeAt', 'isSuspect', 'progress', ...OF_AN_END] },
]

/** Turns a document of 2.x or of other code into a task. Each field that is missing or wrong gets its default. */
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
  {
    $unset: ['onGoing', 'inMemory', 'claim', 'cancelRequestedAt', 'cancelledAt', 'removeAt', 'settledBy', ...OF_AN_END],
  },
]

function failed(
  { counts: { attempts, ...counts }, error, wire }: Extract<Settlement, { kind: 'failed' }>,
  { keepFailed }: Settler,
): Pick<Leaving, 'always' | 'otherwise'> {
  return {
    always: attempts === undefined ? {} : { attempts },
    otherwise: {
      state: 'failed',
      ...counts,
      error: literal(error),
      failure: ifAwaited(failureOf(wire)),
      ...ended(keepFailed),
    },
  }
}

function retried({ counts, delay, error }: Extract<Settlement, { kind: 'retried' }>): Record<string, unknown> {
  return { ...dueIn(delay), ...counts, error: literal(error) }
}

function dueIn(delay: number): Record<string, unknown> {
  return { state: delay > 0 ? 'scheduled' : 'waiting', dueDate: inMilliseconds(delay) }
}

function released({ hasStarted, crashes, delay, isSuspect }: Release): Pick<Leaving, 'always' | 'otherwise'> {
  const crashed = crashes === undefined ? {} : { crashes }
  const suspicion = isSuspect === undefined ? {} : { isSuspect }
  const due = delay === undefined ? { state: STATE_BY_DUE_DATE } : dueIn(delay)
  return { always: attempts(hasStarted), otherwise: { ...due, ...crashed, ...suspicion } }
}

function asCancelled(keepFailed: object): Record<string, unknown> {
  return { state: 'cancelled', cancelledAt: '$$NOW', ...ended(keepFailed) }
}

function cancelledBy(hasStarted: boolean, by: Settler): Pipeline {
  return leaveRunning({ always: attempts(hasStarted), otherwise: asCancelled(by.keepFailed), ...by })
}

/** The claim has counted an attempt, which is taken back if the job did not start. */
function attempts(hasStarted: boolean): Record<string, unknown> {
  return hasStarted ? {} : { attempts: { $subtract: ['$attempts', 1] } }
}

/** The fields of a task that has ended: its result or error for those who wait for it, and how long it is kept. */
import { type WireError, errorToWire } from '../../../../common/pipe/wire'
import type { Done } from '../../claim'
import { WATCHED_KEPT_MS } from '../../retention'
import { storedResult } from '../../stored-result'
import { inMilliseconds, isDuration, isSet, literal } from './expressions'
import type { StoredTask } from './schema'

/** How long a done task that was taken over is kept: until then, its former holder can find out who settled it. */
const TAKEN_OVER_KEPT_MS = 24 * 3_600_000

/** In place of `Retention.keepFailedExpression`. */
export const FOR_GOOD = literal(null)

/** The fields that only an ended task has. */
export const OF_AN_END: readonly (keyof StoredTask)[] = [
  'endedAt',
  'failure',
  'idHeldUntil',
  'isBare',
  'result',
  'startedAt',
]

const IS_AWAITED = isSet('$awaited')

/** `isWatched` as an expression. */
const IS_WATCHED = { $or: [IS_AWAITED, isSet('$audience')] }

/** The change stream of a waiting process matches the change to `ended`. */
const ENDED = { endedAt: '$$NOW', awaited: ifAwaited('ended') }

/** @returns the value if a process waits for the end of the task, otherwise no field */
export function ifAwaited(value: unknown): object {
  return { $cond: [IS_AWAITED, value, '$$REMOVE'] }
}

/** Of a failed or cancelled task. @param keepFailed `Retention.keepFailedExpression` */
export function ended(keepFailed: object): typeof ENDED & { readonly removeAt: object } {
  const keptFor = { $max: ['$$ms', WATCHED_FOR, ID_HELD_FOR] }
  const removeAt = { $cond: [isDuration('$$ms'), inMilliseconds(keptFor), '$$REMOVE'] }
  return { ...ENDED, removeAt: { $let: { vars: { ms: keepFailed }, in: removeAt } } }
}

/** Of a done task that is kept. Its result is stored if it has a `keepDone`, or is watched. */
export function done({ keepDone, value, kept: stored = storedResult(value) }: Done): Record<string, unknown> {
  const wanted = (field: unknown) => (keepDone === undefined ? { $cond: [IS_WATCHED, field, '$$REMOVE'] } : field)
  const content =
    'error' in stored
      ? { failure: wanted(failureOf(errorToWire(stored.error))) }
      : { result: stored.result === undefined ? '$$REMOVE' : wanted(literal(stored.result)) }
  const keptFor = [keepDone ?? 0, WATCHED_FOR, ID_HELD_FOR, { $cond: ['$isTakenOver', TAKEN_OVER_KEPT_MS, 0] }]
  const removeAt = inMilliseconds({ $max: keptFor })
  const idHeldUntil = inMilliseconds({ $max: [keepDone ?? 0, ID_HELD_FOR] })
  if (keepDone !== undefined) return { state: 'done', ...ENDED, ...content, idHeldUntil, removeAt }
  const bare = Object.fromEntries(CONTENT.map(field => [field, { $cond: [IS_HELD_ONLY, '$$REMOVE', `$${field}`] }]))
  const isBare = { $cond: [IS_HELD_ONLY, true, '$$REMOVE'] }
  const held = { idHeldUntil: { $cond: [HOLDS_ID, idHeldUntil, '$$REMOVE'] }, isBare }
  return { state: 'done', ...ENDED, ...bare, ...content, ...held, removeAt }
}

/** A schedule's tick needs no more than the `_id`, the state and the times of its task, once that is done. */
const CONTENT: readonly (keyof StoredTask)[] = ['data', 'error', 'log', 'progress']
const HOLDS_ID = isDuration('$idHeldFor')
const IS_HELD_ONLY = { $and: [HOLDS_ID, { $not: IS_WATCHED }] }
const ID_HELD_FOR = { $cond: [HOLDS_ID, '$idHeldFor', 0] }

const WATCHED_FOR = { $cond: [IS_WATCHED, WATCHED_KEPT_MS, 0] }

/** As JSON, since the names of its fields may be any. */
export function failureOf(error: WireError): object {
  return literal(JSON.stringify(error))
}

/** Errors about wrong arguments: which field, what was given, what is allowed, and what to do about it. */
import { InvalidArgumentError } from './errors'
import { findUnreadable, isThenable, read, tagOf } from './inspect'

/** A list of names. The compiler checks that it has all of them and no other. */
export function namesOf<Name extends string>(names: Readonly<Record<Name, true>>): readonly string[] {
  return Object.keys(names)
}

/**
 * @param field the path of the field, beginning with the call: for instance `addTask.priority`
 * @param allowed what is allowed, in a few words
 * @param hint a sentence that says what to do, or ''
 */
// Invariant 12: one clear error names the field, what was given and what is allowed.
export function wrongValue(field: string, given: unknown, allowed: string, hint = ''): InvalidArgumentError {
  return new InvalidArgumentError(field, given, allowed, hint || (isThenable(given) ? 'Await it first.' : ''))
}

/**
 * @param field ends with the unknown name: for instance `addTask.prioritty`
 * @param kind what the names are, for instance `option`
 */
export function unknownName(
  field: string,
  name: string,
  kind: string,
  known: readonly string[],
  hint = nameHint(name, known),
): InvalidArgumentError {
  return new InvalidArgumentError(field, name, known.join(', '), hint, `is no ${kind}`)
}

/**
 * Checks that each field of an object can be read.
 *
 * @throws InvalidArgumentError that names the first whose getter throws
 */
export function checkReadable(prefix: string, given: object): void {
  const found = findUnreadable(given)
  if (found !== undefined) throw wrongValue(prefix + found.field, found.value, 'a value that can be read')
}

/**
 * Checks that an object has no field but these, and that each can be read.
 *
 * @param prefix of its fields, for instance `addTask.`
 * @param kind as in `unknownName`
 * @throws InvalidArgumentError that names the first other field, or as `checkReadable`
 */
export function checkNames(prefix: string, given: object, kind: string, known: readonly string[], hint?: string): void {
  const unknown = Object.keys(given).find(name => !known.includes(name))
  if (unknown !== undefined) throw unknownName(prefix + unknown, unknown, kind, known, hint)
  checkReadable(prefix, given)
}

/** @param show how a name is written */
export function nameHint(name: unknown, known: readonly string[], show = (shown: string) => shown): string {
  const meant = typeof name === 'string' ? closestTo(name, known) : undefined
  return meant === undefined ? '' : `Did you mean ${show(meant)}?`
}

export function textHint(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return `Use '${String(value)}'.`
  return hasMethod(value, 'toHexString') ? 'Use its toHexString().' : ''
}

/** What to do about a number that is given as a string. @param accepts whether a number is allowed */
export function numberHint(value: unknown, accepts: (value: unknown) => boolean): string {
  const isNumber = typeof value === 'string' && /^-?\d{1,15}(\.\d{1,15})?$/.test(value.trim())
  return isNumber && accepts(Number(value)) ? `Use the number ${value.trim()}, without quotes.` : ''
}

const UNITS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['min', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
])

/** As `numberHint`, for milliseconds: also for `'30s'`. */
export function millisecondsHint(value: unknown, accepts: (value: unknown) => boolean): string {
  const [, digits, unit = ''] = (typeof value === 'string' && /^(\d{1,10}) ?([a-z]+)$/.exec(value.trim())) || []
  const milliseconds = Number(digits) * (UNITS.get(unit) ?? Number.NaN)
  if (accepts(milliseconds)) return `Use the number ${String(milliseconds)}, in milliseconds.`
  return numberHint(value, accepts)
}

/** A day as ISO 8601 writes it, with or without a time. Date.parse reads much else, and some of it wrongly. */
const ISO_DATE = /^\d{4}-\d\d-\d\d([T ][\d:.]{2,12}(Z|[+-]\d\d:?\d\d)?)?$/

export function dateHint(value: unknown): string {
  if (typeof value === 'number' && !Number.isNaN(new Date(value).getTime())) return `Use new Date(${String(value)}).`
  if (typeof value === 'string' && ISO_DATE.test(value) && !Number.isNaN(Date.parse(value))) {
    return `Use new Date('${value}').`
  }
  // The first is for Moment and Day.js, the second for Luxon.
  const method = ['toDate', 'toJSDate'].find(name => hasMethod(value, name))
  return method === undefined ? '' : `Use its ${method}().`
}

const HINTS_BY_TAG: ReadonlyMap<string, string> = new Map([
  ['Date', ''],
  ['Error', 'Use its message.'],
  ['Map', 'Use Object.fromEntries(map).'],
  ['RegExp', 'Use its source.'],
  ['Set', 'Use [...set].'],
])

/** What to do about a value within `data`. */
export function dataHint(value: unknown): string {
  if (typeof value === 'function') return 'Name the work by taskType, and give its input.'
  if (typeof value === 'bigint') return 'Use a number or a string.'
  if (value === undefined) return 'Use null.'
  if (typeof value !== 'object' || isThenable(value)) return ''
  if (hasMethod(value, 'fetchAsync')) return 'Use await cursor.fetchAsync().'
  return (
    HINTS_BY_TAG.get(tagOf(value) ?? '') ??
    (textHint(value) || dateHint(value) || 'Copy what the task needs into a plain object.')
  )
}

/** Names that other queues use for the same thing. */
const ALIASES: Readonly<Record<string, string>> = {
  args: 'data',
  attempts: 'retries',
  broker: 'messageBroker',
  completed: 'done',
  concurrency: 'workerConcurrency',
  delay: 'dueDate',
  failed: 'error',
  finished: 'done',
  fn: 'run',
  handler: 'run',
  id: '_id',
  interval: 'refreshRate',
  jobId: '_id',
  logger: 'logs',
  maxWorkers: 'maxAvailableWorkers',
  name: 'taskType',
  payload: 'data',
  retry: 'retries',
  process: 'run',
  runAt: 'dueDate',
  success: 'done',
  taskId: '_id',
  type: 'taskType',
  workers: 'maxAvailableWorkers',
}

/** The most letters of a name that may be added, left out or replaced for it to count as a slip. */
const MAX_SLIPS = 2

function closestTo(name: string, known: readonly string[]): string | undefined {
  const alias = Object.hasOwn(ALIASES, name) ? ALIASES[name] : undefined
  if (alias !== undefined && known.includes(alias)) return alias
  const [closest] = known
    .map(candidate => ({ candidate, slips: slipsBetween(name.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ candidate, slips }) => slips <= Math.min(MAX_SLIPS, candidate.length / 2))
    .sort((a, b) => a.slips - b.slips)
  return closest?.candidate
}

/** The Levenshtein distance. */
function slipsBetween(a: string, b: string): number {
  // Checked first, since a name may be megabytes long.
  if (Math.abs(a.length - b.length) > MAX_SLIPS) return Infinity
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let index = 0; index < a.length; index++) {
    const next = [index + 1]
    for (let column = 1; column <= b.length; column++) {
      const replaced = (row[column - 1] ?? 0) + (a[index] === b[column - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? Infinity
}

function hasMethod(value: unknown, name: string): boolean {
  return typeof value === 'object' && value !== null && typeof read(value, name) === 'function'
}

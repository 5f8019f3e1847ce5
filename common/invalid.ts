/** Errors about wrong arguments: which field, what was given, what is allowed, and what to do about it. */
import { InvalidArgumentError } from './errors'
import { isThenable, read, tagOf } from './inspect'
import { cutText } from './text'

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

export function nameHint(name: unknown, known: readonly string[]): string {
  const meant = typeof name === 'string' ? closestTo(name, known) : undefined
  return meant === undefined ? '' : `Did you mean ${meant}?`
}

export function textHint(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'bigint') return `Use '${String(value)}'.`
  return hasMethod(value, 'toHexString') ? 'Use its toHexString().' : ''
}

const MILLISECONDS_BY_UNIT: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000 }

export function numberHint(value: unknown): string {
  if (typeof value !== 'string') return ''
  const [, digits, unit = ''] = /^(\d{1,10}) ?([a-z]*)$/.exec(value.trim()) ?? []
  if (digits === undefined) return ''
  if (unit === '') return `Use the number ${digits}, without quotes.`
  const factor = MILLISECONDS_BY_UNIT[unit]
  return factor === undefined ? '' : `Use the number ${String(Number(digits) * factor)}, in milliseconds.`
}

export function dateHint(value: unknown): string {
  if (typeof value === 'number' && !Number.isNaN(new Date(value).getTime())) return `Use new Date(${String(value)}).`
  if (typeof value === 'string' && !Number.isNaN(Date.parse(value))) return `Use new Date('${cutText(value, 60)}').`
  // The first is for Moment and Day.js, the second for Luxon.
  const method = ['toDate', 'toJSDate'].find(name => hasMethod(value, name))
  return method === undefined ? '' : `Use its ${method}().`
}

/** What to do about a value within `data`. */
export function dataHint(value: unknown): string {
  if (typeof value === 'function') return 'Name the work by taskType, and give its input.'
  if (typeof value === 'bigint') return 'Use a number or a string.'
  if (value === undefined) return 'Use null.'
  if (typeof value !== 'object' || isThenable(value)) return ''
  const hints: Readonly<Record<string, string>> = {
    Date: '',
    Error: 'Use its message.',
    Map: 'Use Object.fromEntries(map).',
    RegExp: 'Use its source.',
    Set: 'Use [...set].',
  }
  if (hasMethod(value, 'fetchAsync')) return 'Use await cursor.fetchAsync().'
  return (
    hints[tagOf(value) ?? ''] ?? (textHint(value) || dateHint(value) || 'Copy what the task needs into a plain object.')
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

/** Inspects values of any kind, whatever their getters and proxies do. Nothing here throws. */

/**
 * Anything can be thrown; the rest of the package handles only errors. Clients of APIs throw plain objects with the
 * fields of an error.
 */
export function toError(thrown: unknown): Error {
  if (isError(thrown)) return thrown
  const fields = typeof thrown === 'object' && thrown !== null ? errorFieldsOf(thrown) : {}
  const message = typeof thrown === 'string' ? thrown : (fields.message ?? describe(thrown))
  return Object.assign(new Error(message, { cause: thrown }), fields)
}

/** Those of the fields of an error that it has. */
function errorFieldsOf(object: object): { readonly message?: string } {
  const fields = ['message', 'name', 'code', 'stack'].map(field => [field, read(object, field)] as const)
  return Object.fromEntries(
    fields.filter(([field, value]) => isText(value) || (field === 'code' && typeof value === 'number')),
  )
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

/** True for errors of another realm (a vm context), too. */
export function isError(value: unknown): value is Error {
  try {
    return value instanceof Error || tagOf(value) === 'Error'
  } catch {
    // A proxy.
    return false
  }
}

/** What kind of object it is, whichever realm it is from. */
export function tagOf(value: unknown): string | undefined {
  try {
    return Object.prototype.toString.call(value).slice('[object '.length, -1)
  } catch {
    // A proxy, or a getter.
    return undefined
  }
}

/** Of an AggregateError without a message, as Node throws for a refused connection, the messages of its errors. */
export function messageOf(thrown: unknown): string {
  const error = toError(thrown)
  const message = textOf(error, 'message') ?? ''
  const errors = message === '' ? read(error, 'errors') : undefined
  if (!Array.isArray(errors)) return message
  return errors
    .slice(0, MAX_AGGREGATED)
    .map(item => textOf(toError(item), 'message') ?? '')
    .join('; ')
}

const MAX_AGGREGATED = 5

/** The field if it is a string, otherwise undefined. An error may have getters that throw. */
export function textOf(error: Error, field: 'name' | 'message' | 'stack'): string | undefined {
  const value = read(error, field)
  return typeof value === 'string' ? value : undefined
}

/** Undefined if a getter or a proxy throws. */
export function read(error: object, field: string): unknown {
  try {
    return (error as Record<string, unknown>)[field]
  } catch {
    return undefined
  }
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof read(value, 'then') === 'function'
}

/** Stands in for a value that throws when it is read: a getter does, or a proxy. */
export class Unreadable {
  readonly error: unknown

  constructor(error: unknown) {
    this.error = error
  }
}

/** The first field that throws when it is read, and what it throws; undefined if all can be read. */
export function findUnreadable(object: object): { readonly field: string; readonly value: Unreadable } | undefined {
  for (const field of Object.keys(object)) {
    try {
      Reflect.get(object, field)
    } catch (error) {
      return { field, value: new Unreadable(error) }
    }
  }
  return undefined
}

/** A short, safe rendering of any value for an error message: `"abc" (string)`, `null`, `an array`. */
export function describe(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return `${quote(value)} (string)`
    case 'number':
    case 'boolean':
      return `${String(value)} (${typeof value})`
    case 'bigint':
      return BigInt.asIntN(MAX_SHOWN_BITS, value) === value ? `${String(value)}n (bigint)` : 'a large bigint'
    case 'undefined':
      return 'undefined'
    case 'symbol':
      return 'a symbol'
    case 'function':
      return 'a function'
    default:
      return describeSafely(value as object | null)
  }
}

/** The text in quotes, cut to 60 characters. */
export function quote(text: string): string {
  return `"${text.length > 60 ? `${text.slice(0, 60)}…` : text}"`
}

/** Larger bigints are not shown: the time to write one grows faster than its length. */
const MAX_SHOWN_BITS = 128

/** A proxy or a getter may throw during the inspection. */
function describeSafely(value: object | null): string {
  try {
    return describeObject(value)
  } catch {
    return 'an object'
  }
}

function describeObject(value: object | null): string {
  if (value === null) return 'null'
  if (value instanceof Unreadable) return `unreadable, since it throws ${quote(messageOf(value.error))}`
  if (Array.isArray(value)) return 'an array'
  if (value instanceof Date && Number.isNaN(value.getTime())) return 'an invalid Date'
  const prototype = Object.getPrototypeOf(value) as { constructor?: { name?: unknown } } | null
  const name = prototype?.constructor?.name
  if (typeof name !== 'string' || name === 'Object' || name === '') return 'an object'
  return `${/^[AEIO]/i.test(name) ? 'an' : 'a'} ${name.slice(0, 60)}`
}

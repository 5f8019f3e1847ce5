/** How values and errors cross the pipe between master and worker. */
import { type Encoded, decode, encode, isEncoded } from './codec'
import { describe, isError, read, textOf } from '../inspect'
import { cutText } from '../text'

/** An error as it travels: the structured clone algorithm would drop its name, code and fields. */
export interface WireError {
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  /** Own enumerable fields that can be sent, `code` among them, and `details` of a `Meteor.Error`. */
  readonly fields: Encoded
  readonly cause: WireValue | undefined
  /** The errors of an AggregateError. */
  readonly errors: readonly WireValue[] | undefined
}

/** Any value as it travels. An error at the top is taken apart; deeper ones keep what structured clone keeps. */
export type WireValue = Encoded | { readonly error: WireError }

/** Causes deeper than this are left out, which also ends a cycle of causes. */
const MAX_CAUSE_DEPTH = 8

/** Longer texts lose their middle. */
const MAX_NAME_CHARACTERS = 2 ** 10
const MAX_TEXT_CHARACTERS = 2 ** 16

/** The most fields of one error; the others are left out. */
const MAX_FIELDS = 1000

/** The limits of one error, together with all its causes and errors. What exceeds them is left out. */
const MAX_ERRORS = 32
const MAX_FIELDS_BYTES = 2 ** 20

/** What is left of these limits. */
interface Budget {
  errors: number
  bytes: number
}

/** @throws if the value cannot be sent: for instance, if it is or contains a function */
export function toWire(value: unknown): WireValue {
  return isError(value) ? { error: errorToWire(value) } : encode(value)
}

export function fromWire(wire: WireValue): unknown {
  return 'error' in wire ? errorFromWire(wire.error) : decode(wire)
}

/**
 * Never throws, and never makes more than a few megabytes: an error may have getters that throw, or a message of 100
 * MB.
 */
// Invariant 13: the texts and fields of errors are bounded.
export function errorToWire(error: Error): WireError {
  return errorWithin(error, { errors: MAX_ERRORS, bytes: MAX_FIELDS_BYTES }, 0)
}

function errorWithin(error: Error, budget: Budget, depth: number): WireError {
  budget.errors--
  const stack = textOf(error, 'stack')
  const cause = read(error, 'cause')
  return {
    name: cutText(textOf(error, 'name') ?? 'Error', MAX_NAME_CHARACTERS),
    message: cutText(textOf(error, 'message') ?? '', MAX_TEXT_CHARACTERS),
    stack: stack === undefined ? undefined : cutText(stack, MAX_TEXT_CHARACTERS),
    fields: fieldsWithin(error, budget),
    cause: cause === undefined ? undefined : partWithin(cause, budget, depth + 1),
    errors: errorsWithin(error, budget, depth + 1),
  }
}

/** A cause, or one of the errors of an AggregateError. Undefined if there is no room for it. */
function partWithin(part: unknown, budget: Budget, depth: number): WireValue | undefined {
  if (depth > MAX_CAUSE_DEPTH || budget.errors <= 0) return undefined
  if (isError(part)) return { error: errorWithin(part, budget, depth) }
  budget.errors--
  return encodeWithin(part, budget) ?? { value: describe(part) }
}

function errorsWithin(error: Error, budget: Budget, depth: number): WireValue[] | undefined {
  const errors = listOfErrors(error)
  if (errors === undefined) return undefined
  const kept: WireValue[] = []
  for (const part of errors) {
    const wire = partWithin(part, budget, depth)
    if (wire === undefined) break
    kept.push(wire)
  }
  return kept
}

/** The `errors` of an AggregateError are not enumerable. A field of that name on another error may hold anything. */
function listOfErrors(error: Error): unknown[] | undefined {
  const errors = read(error, 'errors')
  if (!isList(errors)) return undefined
  const length = read(errors, 'length')
  const count = typeof length === 'number' ? Math.min(length, MAX_ERRORS) : 0
  const first = Array.from({ length: count }, (_, index) => read(errors, String(index)))
  return first.some(isError) || !isEnumerable(error, 'errors') ? first : undefined
}

export function errorFromWire(wire: WireError): Error {
  const error = withoutStack(wire.message)
  defineHidden(error, 'name', wire.name)
  defineHidden(error, 'stack', wire.stack)
  if (wire.cause !== undefined) defineHidden(error, 'cause', fromWire(wire.cause))
  if (wire.errors !== undefined) defineHidden(error, 'errors', wire.errors.map(fromWire))
  for (const [field, value] of Object.entries(decode(wire.fields) ?? {})) {
    // Only a forged error has these as fields. Whoever reads an error relies on the real ones.
    if (TAKEN_APART.has(field)) continue
    Object.defineProperty(error, field, { value, enumerable: true, writable: true, configurable: true })
  }
  return error
}

/**
 * Creates an error without a stack of its own: to replace a stack, V8 formats it first. Meteor then loads all source
 * maps, which blocks the event loop for 190 ms.
 */
function withoutStack(message: string): Error {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    return new Error(message)
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

/** `name`, `stack`, `cause` and `errors` are not enumerable on an error that was created here, either. */
function defineHidden(error: Error, field: string, value: unknown): void {
  Object.defineProperty(error, field, { value, enumerable: false, writable: true, configurable: true })
}

const TAKEN_APART = new Set(['name', 'message', 'stack', 'cause'])

/** Copies of the fields that can be sent and for which there is room. */
function fieldsWithin(error: Error, budget: Budget): Encoded {
  const kept: Record<string, unknown> = Object.create(null) as Record<string, unknown>
  const hasErrors = listOfErrors(error) !== undefined
  for (const name of fieldNames(error)) {
    if (TAKEN_APART.has(name) || (hasErrors && name === 'errors')) continue
    const value = read(error, name)
    // Encoded within an object, since the field is one level deeper there.
    const encoded = value === undefined ? undefined : encodeWithin({ [name]: value }, budget)
    if (encoded !== undefined) kept[name] = (decode(encoded) as Record<string, unknown>)[name]
  }
  return encode(kept)
}

/** Includes `code`, since some errors (AbortError) have it on the prototype. */
function fieldNames(error: Error): string[] {
  try {
    return [...new Set(['code', ...Object.keys(error)])].slice(0, MAX_FIELDS)
  } catch {
    // A proxy.
    return []
  }
}

/** A copy of the value; undefined if it cannot be sent, or if there is no room for it. */
function encodeWithin(value: unknown, budget: Budget): Encoded | undefined {
  try {
    const encoded = encode(value, budget.bytes)
    if ('v8' in encoded) return pay(encoded.v8.length, budget) ? encoded : undefined
    // Its getters may return something else the next time.
    const text = JSON.stringify(encoded)
    return pay(text.length, budget) ? (JSON.parse(text) as Encoded) : undefined
  } catch {
    return undefined
  }
}

function pay(bytes: number, budget: Budget): boolean {
  if (bytes > budget.bytes) return false
  budget.bytes -= bytes
  return true
}

function isList(value: unknown): value is unknown[] {
  try {
    return Array.isArray(value)
  } catch {
    // A revoked proxy.
    return false
  }
}

function isEnumerable(value: object, field: string): boolean {
  try {
    return Object.prototype.propertyIsEnumerable.call(value, field)
  } catch {
    return false
  }
}

/** @param depth how many causes deep; forged causes may have a cycle */
export function isWireValue(wire: unknown, depth = 0): wire is WireValue {
  return isRecord(wire) && (Object.hasOwn(wire, 'error') ? isWireError(wire.error, depth) : isEncoded(wire))
}

/** @param depth how many causes deep */
export function isWireError(wire: unknown, depth = 0): wire is WireError {
  return (
    isRecord(wire) &&
    depth <= MAX_CAUSE_DEPTH &&
    typeof wire.name === 'string' &&
    typeof wire.message === 'string' &&
    (wire.stack === undefined || typeof wire.stack === 'string') &&
    isRecord(wire.fields) &&
    isEncoded(wire.fields) &&
    (wire.cause === undefined || isWireValue(wire.cause, depth + 1)) &&
    (wire.errors === undefined || areWireValues(wire.errors, depth + 1))
  )
}

function areWireValues(wires: unknown, depth: number): boolean {
  return Array.isArray(wires) && wires.every(wire => isWireValue(wire, depth))
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

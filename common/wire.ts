/** How values and errors cross the pipe between master and worker. */
import { type Encoded, decode, encode, isEncoded } from './codec'
import { describe, read, textOf } from './errors'

/** An error as it travels: the structured clone algorithm would drop its name, code and fields. */
export interface WireError {
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  /** Own enumerable fields that can be sent, `code` among them, and `details` of a `Meteor.Error`. */
  readonly fields: Encoded
  readonly cause: WireValue | undefined
}

/** Any value as it travels. An error at the top is taken apart; deeper ones keep what structured clone keeps. */
export type WireValue = Encoded | { readonly error: WireError }

/** Causes deeper than this are cut off, which also ends a chain that runs in a circle. */
const MAX_CAUSE_DEPTH = 8

/** @throws when the value cannot be sent: a function, or what holds one */
export function toWire(value: unknown): WireValue {
  return value instanceof Error ? { error: errorToWire(value) } : encode(value)
}

export function fromWire(wire: WireValue): unknown {
  return 'error' in wire ? errorFromWire(wire.error) : decode(wire)
}

/** Never throws: an error may have getters that do, or a message that is no text. */
export function errorToWire(error: Error, depth = 0): WireError {
  return {
    name: textOf(error, 'name') ?? 'Error',
    message: textOf(error, 'message') ?? '',
    stack: textOf(error, 'stack'),
    fields: encode(sendableFields(error)),
    cause: causeToWire(read(error, 'cause'), depth + 1),
  }
}

function causeToWire(cause: unknown, depth: number): WireValue | undefined {
  if (cause === undefined || depth > MAX_CAUSE_DEPTH) return undefined
  if (cause instanceof Error) return { error: errorToWire(cause, depth) }
  try {
    return encode(cause)
  } catch {
    return encode(describe(cause))
  }
}

export function errorFromWire(wire: WireError): Error {
  const error = new Error(wire.message)
  defineHidden(error, 'name', wire.name)
  defineHidden(error, 'stack', wire.stack)
  if (wire.cause !== undefined) defineHidden(error, 'cause', fromWire(wire.cause))
  for (const [field, value] of Object.entries(decode(wire.fields) ?? {})) {
    // Forged: whoever reads an error relies on these being texts.
    if (TAKEN_APART.has(field)) continue
    Object.defineProperty(error, field, { value, enumerable: true, writable: true, configurable: true })
  }
  return error
}

/** `name`, `stack` and `cause` are not enumerable on an error that was born here either. */
function defineHidden(error: Error, field: string, value: unknown): void {
  Object.defineProperty(error, field, { value, enumerable: false, writable: true, configurable: true })
}

const TAKEN_APART = new Set(['name', 'message', 'stack', 'cause'])

/** `code` is named, since on some errors (AbortError) it stands on the prototype. */
function sendableFields(error: Error): Record<string, unknown> {
  const names = new Set([...Object.keys(error), 'code'])
  const fields = [...names].filter(name => !TAKEN_APART.has(name)).map(name => [name, read(error, name)] as const)
  return Object.fromEntries(fields.filter(([, value]) => value !== undefined && isSendable(value)))
}

function isSendable(value: unknown): boolean {
  try {
    encode(value)
    return true
  } catch {
    return false
  }
}

/** @param depth of causes; those that are forged may run in a circle */
export function isWireValue(wire: unknown, depth = 0): wire is WireValue {
  return isRecord(wire) && (Object.hasOwn(wire, 'error') ? isWireError(wire.error, depth) : isEncoded(wire))
}

/** @param depth of causes */
export function isWireError(wire: unknown, depth = 0): wire is WireError {
  return (
    isRecord(wire) &&
    depth <= MAX_CAUSE_DEPTH &&
    typeof wire.name === 'string' &&
    typeof wire.message === 'string' &&
    (wire.stack === undefined || typeof wire.stack === 'string') &&
    isRecord(wire.fields) &&
    isEncoded(wire.fields) &&
    (wire.cause === undefined || isWireValue(wire.cause, depth + 1))
  )
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

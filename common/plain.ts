/**
 * The values that a task's data may hold: those that come back unchanged from MongoDB, from memory and from the pipe to
 * a worker. A value that one of the three would change or drop is rejected when the task is added. So the data that a
 * task function sees never depends on the way that it took.
 */

import { Unreadable, findUnreadable } from './inspect'
import { dataHint } from './invalid'
import { toWellFormed } from './text'

export type PlainValue = null | boolean | number | string | Date | Buffer | PlainObject | PlainValue[]
export interface PlainObject {
  [key: string]: PlainValue
}

/** The first thing in a value that is not allowed. */
export interface Fault {
  /** The path from the top of the value, for instance `.user.tags[3]`. */
  readonly path: string
  readonly value: unknown
  readonly allowed: string
  /** What to do about it; '' if there is no advice. */
  readonly hint: string
}

/** MongoDB rejects documents nested deeper than 100 levels. The other 20 are left for the task around the data. */
const MAX_DEPTH = 80

export const PLAIN_ALLOWED =
  'null, booleans, numbers, strings, valid Dates, binary, and arrays and plain objects of these'
const ALLOWED_DEPTH = `at most ${String(MAX_DEPTH)} levels of nesting, and no circle`
/**
 * MongoDB reads names such as `$ref` as operators and `_bsontype` as the mark of its own types, and ends a name at NUL.
 */
const ALLOWED_KEY = 'field names without a leading $ and without NUL, and not _bsontype'

class Refused extends Error {
  readonly fault: Fault
  constructor(fault: Fault) {
    super(fault.allowed)
    this.fault = fault
  }
}

/** A deep copy as MongoDB would return it, or the first fault. */
export function copyPlain(value: unknown): { readonly copy: PlainValue } | { readonly fault: Fault } {
  try {
    return { copy: copy(value, '', 0) }
  } catch (error) {
    if (error instanceof Refused) return { fault: error.fault }
    // A proxy.
    return { fault: { path: '', value: new Unreadable(error), allowed: PLAIN_ALLOWED, hint: '' } }
  }
}

/** A copy if the value is plain, otherwise the value itself. */
export function copyOfPlain(value: unknown): unknown {
  const result = copyPlain(value)
  return 'copy' in result ? result.copy : value
}

/** A copy of the object, and of each field that is plain. */
export function copyFields<Fields extends object>(object: Fields): Fields {
  return Object.fromEntries(Object.entries(object).map(([field, value]) => [field, copyOfPlain(value)])) as Fields
}

/**
 * Finds what MongoDB would take for a type of its own, in a value that did not come through `copyPlain`; undefined if
 * there is none.
 */
export function findBsonType(value: unknown, path = '', depth = 0): Fault | undefined {
  if (depth > MAX_DEPTH) return undefined
  if (!Array.isArray(value) && !isPlainObject(value)) return undefined
  for (const [key, item] of Object.entries(value)) {
    const inner = Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`
    if (key === '_bsontype') return { path: inner, value: item, allowed: ALLOWED_KEY, hint: '' }
    const found = findBsonType(item, inner, depth + 1)
    if (found !== undefined) return found
  }
  return undefined
}

export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  try {
    const prototype = Object.getPrototypeOf(value) as object | null
    // An object literal of another realm (a vm context) has another Object.prototype, which also ends its chain.
    if (prototype === null) return true
    return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'hasOwnProperty')
  } catch {
    // A proxy that was revoked, or whose handler throws.
    return false
  }
}

function copy(value: unknown, path: string, depth: number): PlainValue {
  if (depth > MAX_DEPTH) throw new Refused({ path: '', value, allowed: ALLOWED_DEPTH, hint: '' })
  if (value === null || typeof value === 'boolean' || typeof value === 'number') return value
  // MongoDB stores strings as UTF-8, which has no unpaired surrogates.
  if (typeof value === 'string') return toWellFormed(value)
  if (value instanceof Date && !Number.isNaN(value.getTime())) return new Date(value)
  // Not `Buffer.from(value)`: a small one would share its memory with other Buffers.
  if (value instanceof Uint8Array) return Buffer.from(new Uint8Array(value).buffer)
  if (Array.isArray(value)) return copyArray(value, path, depth)
  if (isPlainObject(value)) return copyObject(value, path, depth)
  throw new Refused({ path, value, allowed: PLAIN_ALLOWED, hint: dataHint(value) })
}

/** Rejects undefined items and holes: MongoDB would store them as null. */
function copyArray(value: readonly unknown[], path: string, depth: number): PlainValue[] {
  return Array.from(value, (item, index) => copy(item, `${path}[${String(index)}]`, depth + 1))
}

/** Leaves out undefined fields, as Meteor's MongoDB connection does. */
function copyObject(value: Record<string, unknown>, path: string, depth: number): PlainObject {
  const target: PlainObject = {}
  for (const [key, item] of entriesOf(value, path)) {
    if (item === undefined) continue
    if (key.startsWith('$') || key === '_bsontype' || key.includes('\0')) {
      throw new Refused({ path: `${path}.${key}`, value: item, allowed: ALLOWED_KEY, hint: '' })
    }
    define(target, toWellFormed(key), copy(item, `${path}.${key}`, depth + 1))
  }
  return target
}

function entriesOf(value: Record<string, unknown>, path: string): [string, unknown][] {
  try {
    return Object.entries(value)
  } catch (error) {
    const found = findUnreadable(value)
    if (found === undefined) throw error
    throw new Refused({ path: `${path}.${found.field}`, value: found.value, allowed: PLAIN_ALLOWED, hint: '' })
  }
}

/** `target.__proto__ = …` would set the prototype instead of a field. */
function define(target: PlainObject, key: string, value: PlainValue): void {
  if (key === '__proto__') {
    Object.defineProperty(target, key, { value, enumerable: true, writable: true, configurable: true })
  } else {
    target[key] = value
  }
}

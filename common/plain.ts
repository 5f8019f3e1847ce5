/**
 * The values that a task's data may hold: those that come back the same from MongoDB, from memory and from the pipe
 * to a worker. Whatever one of the three would change or drop is refused when the task is added, so that a task
 * function never sees data that depends on the way it took.
 */

import { dataHint } from './invalid'
import { toWellFormed } from './text'

export type PlainValue = null | boolean | number | string | Date | Buffer | PlainObject | PlainValue[]
export interface PlainObject {
  [key: string]: PlainValue
}

/** The first thing in a value that is not allowed. */
export interface Fault {
  /** From the value's top, for instance `.user.tags[3]`. */
  readonly path: string
  readonly value: unknown
  readonly allowed: string
  /** What to do about it; '' where nobody knows. */
  readonly hint: string
}

/** MongoDB refuses documents nested deeper than 100 levels; the rest is left for the task around the data. */
const MAX_DEPTH = 80

const ALLOWED = 'null, booleans, numbers, strings, valid Dates, binary, and arrays and plain objects of these'
const ALLOWED_DEPTH = `at most ${String(MAX_DEPTH)} levels of nesting, and no circle`
/** MongoDB reads `$ref` and its like as operators, takes `_bsontype` for a type of its own, and ends a name at NUL. */
const ALLOWED_KEY = 'field names without a leading $ and without NUL, and not _bsontype'

class Refused extends Error {
  readonly fault: Fault
  constructor(fault: Fault) {
    super(fault.allowed)
    this.fault = fault
  }
}

/** A deep copy in the form in which MongoDB would give it back, or the first fault. */
export function copyPlain(value: unknown): { readonly copy: PlainValue } | { readonly fault: Fault } {
  try {
    return { copy: copy(value, '', 0) }
  } catch (error) {
    if (error instanceof Refused) return { fault: error.fault }
    throw error
  }
}

/**
 * What MongoDB would take for a type of its own, in a value that did not come through `copyPlain`; undefined if there
 * is none.
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
  const prototype = Object.getPrototypeOf(value) as object | null
  // An object literal of another realm (a vm context) has another Object.prototype, which also ends its chain.
  return prototype === null || (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'hasOwnProperty'))
}

function copy(value: unknown, path: string, depth: number): PlainValue {
  if (depth > MAX_DEPTH) throw new Refused({ path: '', value, allowed: ALLOWED_DEPTH, hint: '' })
  if (value === null || typeof value === 'boolean' || typeof value === 'number') return value
  // UTF-8, in which MongoDB keeps strings, has no halves of surrogate pairs.
  if (typeof value === 'string') return toWellFormed(value)
  if (value instanceof Date && !Number.isNaN(value.getTime())) return new Date(value)
  if (value instanceof Uint8Array) return Buffer.from(value)
  if (Array.isArray(value)) return copyArray(value, path, depth)
  if (isPlainObject(value)) return copyObject(value, path, depth)
  throw new Refused({ path, value, allowed: ALLOWED, hint: dataHint(value) })
}

/** Undefined and holes are refused: MongoDB would store them as null. */
function copyArray(value: readonly unknown[], path: string, depth: number): PlainValue[] {
  return Array.from(value, (item, index) => copy(item, `${path}[${String(index)}]`, depth + 1))
}

/** Meteor's MongoDB connection leaves out fields that are undefined. */
function copyObject(value: Record<string, unknown>, path: string, depth: number): PlainObject {
  const target: PlainObject = {}
  for (const [key, item] of Object.entries(value)) {
    if (item === undefined) continue
    if (key.startsWith('$') || key === '_bsontype' || key.includes('\0')) {
      throw new Refused({ path: `${path}.${key}`, value: item, allowed: ALLOWED_KEY, hint: '' })
    }
    define(target, toWellFormed(key), copy(item, `${path}.${key}`, depth + 1))
  }
  return target
}

/** `target.__proto__ = …` would set the prototype instead of a field. */
function define(target: PlainObject, key: string, value: PlainValue): void {
  if (key === '__proto__') {
    Object.defineProperty(target, key, { value, enumerable: true, writable: true, configurable: true })
  } else {
    target[key] = value
  }
}

/**
 * Encodes values for the pipe. A value that JSON gives back unchanged travels as JSON, any other as structured clone,
 * in base64. For the small values that most jobs have, JSON is twice as fast on the pipe (measured).
 */
import { types } from 'node:util'
import { DefaultDeserializer, serialize } from 'node:v8'
import { isError, read as readField, tagOf } from '../inspect'
import { isPlainObject } from '../plain'

const { isAnyArrayBuffer } = types

/**
 * `{}` stands for undefined. `instanceOf`: the name of a class of which the value holds an instance. Structured clone
 * turns it into a plain object.
 */
export type Encoded = { readonly value?: unknown } | { readonly v8: string; readonly instanceOf?: string }

/** A value with more parts travels as structured clone, which also keeps shared parts and cycles. */
const MAX_PARTS = 10_000

/** The readers of both forms call themselves at each level. From 2,000 levels on, they run out of stack (measured). */
const MAX_LEVELS = 500

/**
 * A message must fit into a string, which holds 2^29 characters (V8). As JSON, one character takes up to six of them
 * (\u0000); as structured clone, three bytes take four.
 */
const MAX_JSON_CHARACTERS = 2 ** 26
const MAX_CLONE_BYTES = 192 * 2 ** 20

/**
 * Encodes a value. What is encoded can be decoded.
 *
 * @param maxBytes an approximation: as JSON, characters are counted
 * @throws if structured clone rejects the value (for instance, a function) or could not read it again, if the value is
 * nested more than 500 levels deep, or if it takes more than `maxBytes` (default: 192 MB)
 */
export function encode(value: unknown, maxBytes = MAX_CLONE_BYTES): Encoded {
  const characters = Math.min(MAX_JSON_CHARACTERS, maxBytes)
  if (value === undefined || survivesJson(value, { parts: MAX_PARTS, characters })) return { value }
  const { instanceOf, isSurelyReadable } = survey(value, maxBytes)
  const bytes = serialize(value)
  checkSize(bytes.length, maxBytes)
  if (!isSurelyReadable) readBack(bytes)
  return { v8: bytes.toString('base64'), ...(instanceOf === undefined ? {} : { instanceOf }) }
}

/** What `isEncoded` has decoded. To decode a large value takes half a second, so `decode` does not do it again. */
const checked = new WeakMap<object, unknown>()

export function decode(encoded: Encoded): unknown {
  if (!('v8' in encoded)) return encoded.value
  const value: unknown = checked.has(encoded) ? checked.get(encoded) : read(Buffer.from(encoded.v8, 'base64'))
  // A second call of `decode` must return another value.
  checked.delete(encoded)
  return value
}

/** Checks by decoding, since a forged value must not throw when it is decoded later. */
export function isEncoded(encoded: Readonly<Record<string, unknown>>): encoded is Encoded {
  if (!Object.hasOwn(encoded, 'v8')) return true
  if (encoded.instanceOf !== undefined && typeof encoded.instanceOf !== 'string') return false
  try {
    checked.set(encoded, decode(encoded))
    return true
  } catch {
    return false
  }
}

type ViewClass = new (buffer: ArrayBuffer) => ArrayBufferView

/** Documented for subclasses (node:v8), and missing from the types. */
interface HostObjectReader {
  _readHostObject(): ArrayBufferView
}

const nodeReader = DefaultDeserializer.prototype as unknown as HostObjectReader

/** Gives typed arrays and Buffers a buffer of their own. Node's own gives views of the bytes that it reads. */
class OwnBuffers extends DefaultDeserializer {
  _readHostObject(): ArrayBufferView {
    const view = nodeReader._readHostObject.call(this)
    const bytes = (view.buffer as ArrayBuffer).slice(view.byteOffset, view.byteOffset + view.byteLength)
    return Buffer.isBuffer(view) ? Buffer.from(bytes) : new (view.constructor as ViewClass)(bytes)
  }
}

function read(bytes: Buffer): unknown {
  const deserializer = new OwnBuffers(bytes)
  deserializer.readHeader()
  return deserializer.readValue()
}

/** @throws when the bytes cannot be read */
function readBack(bytes: Buffer): void {
  try {
    read(bytes)
  } catch (error) {
    throw new TypeError('it holds an error whose cause leads back to it, or compiled WebAssembly', { cause: error })
  }
}

interface Survey {
  /** As in `Encoded`. */
  readonly instanceOf: string | undefined
  /**
   * Whether the value can certainly be read again. V8 writes two kinds of values that it does not read: an error whose
   * cause leads back to the error, and compiled WebAssembly (value-serializer.cc; Node 20).
   */
  readonly isSurelyReadable: boolean
}

/**
 * Walks the value in the order of structured clone, which does not enter a part twice.
 *
 * @throws if the value is nested too deep, or certainly too large
 */
function survey(value: unknown, maxBytes: number): Survey {
  let isSurelyReadable = true
  let instanceOf: string | undefined
  let bytes = 0
  const seen = new Set<unknown>()
  const stack = [{ part: value, level: 1 }]
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { part, level } = next
    if (seen.has(part)) continue
    bytes += sizeOf(part)
    checkSize(bytes, maxBytes)
    if (typeof part !== 'object' || part === null) continue
    if (level > MAX_LEVELS) throw new RangeError(`it is nested more than ${String(MAX_LEVELS)} levels deep`)
    seen.add(part)
    isSurelyReadable &&= !isDoubtful(part)
    instanceOf ??= losesItsClass(part) ? nameOfClass(part) : undefined
    for (const inner of partsOf(part).reverse()) stack.push({ part: inner, level: level + 1 })
  }
  return { instanceOf, isSurelyReadable }
}

/** Structured clone has forms of their own for these. */
const CLONED = new Set(['Array', 'Boolean', 'Date', 'Error', 'Map', 'Number', 'RegExp', 'Set', 'String'])

function losesItsClass(value: object): boolean {
  return !isPlainObject(value) && !isBytes(value) && !CLONED.has(tagOf(value) ?? '')
}

function nameOfClass(value: object): string {
  const itsClass = readField(value, 'constructor')
  return typeof itsClass === 'function' ? itsClass.name : 'a class'
}

function isBytes(value: unknown): value is ArrayBufferView | ArrayBufferLike {
  return ArrayBuffer.isView(value) || isAnyArrayBuffer(value)
}

function isDoubtful(value: object): boolean {
  return (isError(value) && Object.hasOwn(value, 'cause')) || tagOf(value) === 'WebAssembly.Module'
}

/** At least this many bytes. */
function sizeOf(part: unknown): number {
  if (typeof part === 'string') return part.length
  return isBytes(part) ? part.byteLength : 0
}

function checkSize(bytes: number, maxBytes: number): void {
  if (bytes > maxBytes) throw new RangeError(`it takes more than ${String(Math.ceil(maxBytes / 2 ** 20))} MB`)
}

function partsOf(value: object): unknown[] {
  // A view has a field for each byte, a String for each character.
  if (ArrayBuffer.isView(value) || value instanceof String) return []
  if (value instanceof Map) return [...value].flat()
  if (value instanceof Set) return [...value]
  // Not enumerable, but sent all the same.
  const causes: unknown[] = isError(value) ? [readField(value, 'cause')] : []
  return [...causes, ...(Object.values(value) as unknown[])]
}

/** How much more a value may contain. */
interface Budget {
  parts: number
  characters: number
}

function survivesJson(value: unknown, budget: Budget, level = 0): boolean {
  if (budget.parts-- === 0 || level > MAX_LEVELS) return false
  switch (typeof value) {
    case 'string':
      return hasRoom(value, budget)
    case 'boolean':
      return true
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0)
    case 'object':
      return value === null || partsSurviveJson(value, budget, level + 1)
    default:
      return false
  }
}

function hasRoom(text: string, budget: Budget): boolean {
  budget.characters -= text.length
  return budget.characters >= 0
}

function partsSurviveJson(value: object, budget: Budget, level: number): boolean {
  // JSON.stringify would call it.
  if ((value as { toJSON?: unknown }).toJSON !== undefined) return false
  if (Array.isArray(value)) return listSurvivesJson(value, budget, level)
  // Checked before the keys: binary has one for each byte.
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return false
  return Object.keys(value).every(
    key =>
      key !== '__proto__' &&
      // `jobToWire` looks for this key in what is not sent as JSON.
      key !== '_bsontype' &&
      hasRoom(key, budget) &&
      survivesJson((value as Record<string, unknown>)[key], budget, level),
  )
}

/** Whether JSON keeps this list: it must have no holes, and no fields beside its items. */
function listSurvivesJson(list: readonly unknown[], budget: Budget, level: number): boolean {
  if (Object.getPrototypeOf(list) !== Array.prototype || Object.keys(list).length !== list.length) return false
  // A loop, since `every` skips holes.
  for (let index = 0; index < list.length; index++) if (!survivesJson(list[index], budget, level)) return false
  return true
}

/**
 * Values as they cross the pipe. JSON is twice as fast there as structured clone for the small values that most jobs
 * have (measured), so what JSON would give back as it was goes as JSON, and everything else as structured clone, in
 * base64.
 */
import { DefaultDeserializer, serialize } from 'node:v8'
import { isError, read as readField, tagOf } from '../inspect'

/** `{}` is undefined. */
export type Encoded = { readonly value?: unknown } | { readonly v8: string }

/** A value with more parts goes as structured clone, which may also share some or run in a circle. */
const MAX_PARTS = 10_000

/**
 * Both forms are read by functions that call themselves at each level, and end when there is no room on the stack
 * (measured: from 2,000).
 */
const MAX_LEVELS = 500

/**
 * A message has to fit into a string, which holds 2^29 characters (V8): as JSON a character takes up to six of them
 * (\u0000), as structured clone three bytes take four.
 */
const MAX_JSON_CHARACTERS = 2 ** 26
const MAX_CLONE_BYTES = 192 * 2 ** 20

/**
 * What is encoded can be decoded.
 *
 * @param maxBytes roughly: as JSON, characters are counted
 * @throws when structured clone refuses the value (a function, or what holds one) or could not read it again, it is
 * nested more than 500 levels deep, or takes more than 192 MB
 */
export function encode(value: unknown, maxBytes = MAX_CLONE_BYTES): Encoded {
  const characters = Math.min(MAX_JSON_CHARACTERS, maxBytes)
  if (value === undefined || survivesJson(value, { parts: MAX_PARTS, characters })) return { value }
  const isSurelyReadable = survey(value, maxBytes)
  const bytes = serialize(value)
  checkSize(bytes.length, maxBytes)
  if (!isSurelyReadable) readBack(bytes)
  return { v8: bytes.toString('base64') }
}

/** To check is to decode, which takes half a second for a large value: what was decoded then needs not be again. */
const checked = new WeakMap<object, unknown>()

export function decode(encoded: Encoded): unknown {
  if (!('v8' in encoded)) return encoded.value
  const value: unknown = checked.has(encoded) ? checked.get(encoded) : read(Buffer.from(encoded.v8, 'base64'))
  // Who decodes it once more gets another.
  checked.delete(encoded)
  return value
}

/** What is forged must not throw when it is decoded. */
export function isEncoded(encoded: Readonly<Record<string, unknown>>): encoded is Encoded {
  if (!Object.hasOwn(encoded, 'v8')) return true
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

/**
 * Goes through it in the order of structured clone, which does not go into what it has seen.
 *
 * @returns whether it is certain that it can be read again. V8 writes two kinds that it does not read: an error whose
 * cause leads back to the error, and compiled WebAssembly (value-serializer.cc; Node 20).
 * @throws when it is nested too deep, or certainly too large
 */
function survey(value: unknown, maxBytes: number): boolean {
  let isSurelyReadable = true
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
    for (const inner of partsOf(part).reverse()) stack.push({ part: inner, level: level + 1 })
  }
  return isSurelyReadable
}

function isDoubtful(value: object): boolean {
  return (isError(value) && Object.hasOwn(value, 'cause')) || tagOf(value) === 'WebAssembly.Module'
}

/** In bytes, at least. */
function sizeOf(part: unknown): number {
  if (typeof part === 'string') return part.length
  return ArrayBuffer.isView(part) || part instanceof ArrayBuffer ? part.byteLength : 0
}

function checkSize(bytes: number, maxBytes: number): void {
  if (bytes > maxBytes) throw new RangeError(`it takes more than ${String(Math.ceil(maxBytes / 2 ** 20))} MB`)
}

function partsOf(value: object): unknown[] {
  // One has a field for each byte, the other for each character.
  if (ArrayBuffer.isView(value) || value instanceof String) return []
  if (value instanceof Map) return [...value].flat()
  if (value instanceof Set) return [...value]
  // Not enumerable, and sent all the same.
  const causes: unknown[] = isError(value) ? [readField(value, 'cause')] : []
  return [...causes, ...(Object.values(value) as unknown[])]
}

/** What a value may still take. */
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
  // Before its keys: binary has one for each byte.
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return false
  return Object.keys(value).every(
    key =>
      key !== '__proto__' &&
      // jobToWire looks for it in what is not sent as JSON.
      key !== '_bsontype' &&
      hasRoom(key, budget) &&
      survivesJson((value as Record<string, unknown>)[key], budget, level),
  )
}

/** With neither holes nor fields beside the items. */
function listSurvivesJson(list: readonly unknown[], budget: Budget, level: number): boolean {
  if (Object.getPrototypeOf(list) !== Array.prototype || Object.keys(list).length !== list.length) return false
  // Unlike `every` it comes to holes.
  for (let index = 0; index < list.length; index++) if (!survivesJson(list[index], budget, level)) return false
  return true
}

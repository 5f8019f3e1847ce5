/**
 * Values as they cross the pipe. JSON is twice as fast there as structured clone for the small values that most jobs have (measured),
 * so what JSON would give back as it was goes as JSON, and everything else as structured clone, in base64.
 */
import { deserialize, serialize } from 'node:v8'

/** `{}` is undefined. */
export type Encoded = { readonly value?: unknown } | { readonly v8: string }

/** A value with more parts goes as structured clone, which may also share some or run in a circle. */
const MOST_PARTS = 10_000

/** Both forms are read by functions that call themselves at each level, and end when there is no room on the stack (measured: from 2,000). */
const MOST_LEVELS = 500

/**
 * A message has to fit into a string, which holds 2^29 characters (V8): as JSON a character takes up to six of them (\u0000), as structured clone
 * three bytes take four.
 */
const MOST_JSON_CHARACTERS = 2 ** 26
const MOST_MEGABYTES = 192

/**
 * @throws when structured clone refuses the value (a function, or what holds one), it is nested more than 500 levels deep, or takes more
 * than 192 MB
 */
export function encode(value: unknown): Encoded {
  if (value === undefined || survivesJson(value, { parts: MOST_PARTS, characters: MOST_JSON_CHARACTERS }))
    return { value }
  checkLevels(value)
  const bytes = serialize(value)
  const megabytes = bytes.length / 2 ** 20
  if (megabytes > MOST_MEGABYTES) throw new RangeError(`it takes ${megabytes.toFixed(0)} MB`)
  return { v8: bytes.toString('base64') }
}

/** To check is to decode, which takes half a second for a large value: what was decoded then needs not be again. */
const checked = new WeakMap<object, unknown>()

export function decode(encoded: Encoded): unknown {
  if (!('v8' in encoded)) return encoded.value
  const value: unknown = checked.has(encoded) ? checked.get(encoded) : deserialize(Buffer.from(encoded.v8, 'base64'))
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

/** Goes through it in the order of structured clone, which does not go into what it has seen. */
function checkLevels(value: unknown): void {
  const seen = new Set<unknown>()
  const stack = [{ part: value, level: 1 }]
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { part, level } = next
    if (typeof part !== 'object' || part === null || seen.has(part)) continue
    if (level > MOST_LEVELS) throw new RangeError(`it is nested more than ${String(MOST_LEVELS)} levels deep`)
    seen.add(part)
    for (const inner of partsOf(part).reverse()) stack.push({ part: inner, level: level + 1 })
  }
}

function partsOf(value: object): unknown[] {
  if (ArrayBuffer.isView(value)) return []
  if (value instanceof Map) return [...value].flat()
  if (value instanceof Set) return [...value]
  // Not enumerable, and sent all the same.
  const causes: unknown[] = value instanceof Error ? [value.cause] : []
  return [...causes, ...(Object.values(value) as unknown[])]
}

/** What a value may still take. */
interface Budget {
  parts: number
  characters: number
}

function survivesJson(value: unknown, budget: Budget, level = 0): boolean {
  if (budget.parts-- === 0 || level > MOST_LEVELS) return false
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
  if (Array.isArray(value)) {
    // Neither holes nor fields beside the items.
    return Object.keys(value).length === value.length && value.every(item => survivesJson(item, budget, level))
  }
  // Before its keys: binary has one for each byte.
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return false
  return Object.keys(value).every(
    key =>
      key !== '__proto__' &&
      hasRoom(key, budget) &&
      survivesJson((value as Record<string, unknown>)[key], budget, level),
  )
}

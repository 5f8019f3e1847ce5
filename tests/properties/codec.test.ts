/** Values on the pipe come out as structured clone would give them, whichever way they take. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { deserialize, serialize } from 'node:v8'
import fc from 'fast-check'
import { decode, encode, isEncoded } from '../../common/codec'
import { RUNS, anything, piped } from './arbitraries'

function cloned(value: unknown): { readonly value: unknown } | undefined {
  try {
    return { value: deserialize(serialize(value)) }
  } catch {
    return undefined
  }
}

/** As a text, in which an invalid date is the same as another. */
function show(value: unknown): string {
  return inspect(value, { depth: Infinity, maxArrayLength: null, maxStringLength: null })
}

void test('what structured clone takes comes out of the pipe as from it; what it refuses is refused', () => {
  fc.assert(
    fc.property(anything, value => {
      const clone = cloned(value)
      if (clone === undefined) assert.throws(() => encode(value))
      else assert.equal(show(decode(piped(encode(value)) as ReturnType<typeof encode>)), show(clone.value))
    }),
    RUNS,
  )
})

void test('what is nested too deep is refused, however it hangs together', () => {
  const nodes: { next?: unknown; previous?: unknown }[] = Array.from({ length: 3000 }, () => ({}))
  for (const [index, node] of nodes.entries())
    Object.assign(node, { next: nodes[index + 1], previous: nodes[index - 1] })
  // Each is on the second level, but is come to through the one before.
  assert.throws(() => encode(nodes), /more than 500 levels deep/)
  let map = new Map<string, unknown>()
  for (let level = 0; level < 600; level++) map = new Map([['inner', map]])
  assert.throws(() => encode(map), /more than 500 levels deep/)
  let error = new Error('innermost')
  for (let level = 0; level < 600; level++) error = new Error('outer', { cause: error })
  assert.throws(() => encode([error]), /more than 500 levels deep/)
  const circle = nodes.slice(0, 100)
  for (const [index, node] of circle.entries()) Object.assign(node, { next: circle[(index + 1) % 100], previous: null })
  assert.doesNotThrow(() => encode(circle))
})

void test('what is forged is decoded, or not accepted', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom('value', 'v8'), anything), forged => {
      if (isEncoded(forged)) assert.doesNotThrow(() => decode(forged))
    }),
    RUNS,
  )
})

void test('what was checked is not decoded again, and who decodes it twice gets two values', () => {
  const encoded = { ...(encode(new Map([['a', 1]])) as { v8: string }) }
  const { v8 } = encoded
  assert.ok(isEncoded(encoded))
  encoded.v8 = 'no structured clone'
  const first = decode(encoded)
  encoded.v8 = v8
  const second = decode(encoded)
  assert.deepEqual([first, second], [new Map([['a', 1]]), new Map([['a', 1]])])
  assert.notEqual(first, second)
})

void test('what would not fit into the text of a message is refused; long texts that fit go through', () => {
  const long = '\u0001'.repeat(2 ** 26 + 1)
  const encoded = encode({ long })
  assert.ok('v8' in encoded)
  assert.ok((decode(encoded) as { long: string }).long === long)
  assert.throws(() => encode(['x'.repeat(193 * 2 ** 20)]), /it takes 193 MB/)
})

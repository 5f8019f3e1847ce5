/** Values on the pipe come out as structured clone would give them, whichever way they take. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { deserialize, serialize } from 'node:v8'
import fc from 'fast-check'
import { decode, encode, isEncoded } from '../../common/pipe/codec'
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
  assert.equal(isEncoded(encoded), true)
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
  assert.throws(() => encode(['x'.repeat(193 * 2 ** 20)]), /it takes more than 192 MB/)
})

/** Errors whose causes lead anywhere, back to them too, within values that hold them. */
const tangled = fc
  .tuple(fc.array(fc.tuple(fc.constantFrom('error', 'object', 'map'), fc.nat(5)), { minLength: 1, maxLength: 6 }))
  .map(([links]) => {
    const parts = links.map(([kind]) => (kind === 'error' ? new Error('part') : kind === 'map' ? new Map() : {}))
    for (const [index, [, at]] of links.entries()) {
      const part = parts[index]
      const target = parts[at % parts.length]
      if (part instanceof Map) part.set('to', target)
      else Object.assign(part as object, { cause: target })
    }
    return parts
  })

void test('errors whose causes lead anywhere are decoded, or refused by their sender', () => {
  let refused = 0
  fc.assert(
    fc.property(tangled, parts => {
      const clone = cloned(parts)
      if (clone === undefined) {
        refused++
        assert.throws(() => encode(parts), /whose cause leads back to it/)
      } else assert.equal(show(decode(piped(encode(parts)) as ReturnType<typeof encode>)), show(clone.value))
    }),
    RUNS,
  )
  assert.ok(refused > 0 && refused < RUNS.numRuns)
})

void test('compiled WebAssembly, which can be written and not read, is refused', () => {
  const { WebAssembly } = globalThis as unknown as { WebAssembly: { Module: new (bytes: Uint8Array) => object } }
  const empty = new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]))
  assert.throws(() => encode({ empty }), /compiled WebAssembly/)
})

void test('typed arrays and Buffers come out with a buffer of their own, aligned or not', () => {
  const views = [
    Buffer.from('bytes'),
    new Uint8Array([1, 2, 3]),
    new Float64Array([0.5, 1.5]),
    new BigInt64Array([1n]),
    new DataView(new ArrayBuffer(3)),
    new Uint8Array(0),
  ]
  for (let shift = 0; shift < 8; shift++) {
    const [, ...copies] = decode(encode(['x'.repeat(shift), ...views])) as [string, ...ArrayBufferView[]]
    assert.deepEqual(copies, views)
    for (const [index, copy] of copies.entries()) {
      assert.equal(copy.constructor, views[index]?.constructor)
      assert.deepEqual([copy.byteOffset, copy.buffer.byteLength], [0, views[index]?.byteLength])
    }
  }
})

void test('lists that JSON would change go as structured clone: with holes, fields, a class or a toJSON of their own', () => {
  class List extends Array<number> {
    toJSON(): string {
      return 'changed'
    }
  }
  // eslint-disable-next-line no-sparse-arrays -- a hole beside a field: as many keys as items
  const holed = Object.assign([1, ,], { field: 2 })
  const hidden = Object.defineProperty({ a: 1 }, 'toJSON', { value: () => 'changed' })
  for (const value of [holed, List.of(1, 2), hidden, [hidden]]) {
    const encoded = encode(value)
    assert.equal(show(decode(piped(encoded) as typeof encoded)), show(cloned(value)?.value))
  }
})

void test('a value that is certainly too large is refused before it is written', () => {
  const shared = Buffer.alloc(2 ** 20)
  const before = process.memoryUsage().external
  assert.throws(() => encode(Array.from({ length: 200 }, () => new Uint8Array(shared.buffer))), /more than 192 MB/)
  assert.ok(process.memoryUsage().external - before < 2 ** 26)
  // What is there once is written once.
  assert.doesNotThrow(() => encode(Array.from({ length: 200 }, () => shared)))
  assert.throws(() => encode(new String('x'.repeat(193 * 2 ** 20))), /more than 192 MB/)
})

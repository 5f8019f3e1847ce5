/**
 * Properties of the pure modules, with random input. Run by Node's own runner, since Meteor's package tests have no npm
 * packages that the package itself does not depend on.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BSON } from 'mongodb'
import { taskLine } from '../support/log-line'
import { errorFromWire, errorToWire } from '../../common/pipe/wire'
import { compareTasks } from '../../common/order'
import { copyPlain, type PlainValue } from '../../common/plain'
import { PriorityQueue } from '../../server/queue/memory/priority-queue'

const RUNS = { numRuns: 2000 }

const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.constant('half of a pair: \ud800'))
const key = text.filter(name => !name.startsWith('$') && name !== '_bsontype' && !name.includes('\0'))
const plain: fc.Arbitrary<unknown> = fc.letrec(tie => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(null, true, false),
    fc.double(),
    fc.integer(),
    text,
    fc.date({ noInvalidDate: true }),
    fc.uint8Array(),
    fc.array(tie('value')),
    fc.dictionary(key, fc.oneof(tie('value'), fc.constant(undefined)), { noNullPrototype: true }),
  ),
})).value

function copyOf(value: unknown): PlainValue {
  const result = copyPlain(value)
  if ('fault' in result) throw new Error(`refused: ${result.fault.path}`)
  return result.copy
}

/** How Meteor's connection writes and the claim reads. */
function throughMongo(value: unknown): unknown {
  const bytes = BSON.serialize({ value }, { ignoreUndefined: true })
  return BSON.deserialize(bytes, { promoteBuffers: true }).value
}

void test('data looks the same, whether it came through MongoDB or was copied into memory', () => {
  fc.assert(
    fc.property(plain, value => {
      assert.deepEqual(copyOf(value), throughMongo(value))
    }),
    RUNS,
  )
})

void test('a copy of a copy is the same, and shares nothing with it', () => {
  fc.assert(
    fc.property(plain, value => {
      const once = copyOf(value)
      assert.deepEqual(copyOf(once), once)
      if (typeof once === 'object' && once !== null) assert.notEqual(copyOf(once), once)
    }),
    RUNS,
  )
})

const ordered = fc.record({
  priority: fc.integer({ min: -2, max: 2 }),
  dueDate: fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(3) }),
  createdAt: fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(3) }),
  sequence: fc.nat(5),
})

void test('the order of tasks is total: it never contradicts itself', () => {
  fc.assert(
    fc.property(ordered, ordered, ordered, (a, b, c) => {
      assert.equal(Math.sign(compareTasks(a, b)) + Math.sign(compareTasks(b, a)), 0)
      if (compareTasks(a, b) <= 0 && compareTasks(b, c) <= 0) assert.ok(compareTasks(a, c) <= 0)
    }),
    RUNS,
  )
})

/** What is done to a queue: a number is added. */
const step = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: -20, max: 20 }) },
  { weight: 2, arbitrary: fc.constant('take' as const) },
  { weight: 1, arbitrary: fc.constant('retain' as const) },
)

void test('a priority queue gives the first of what is in it, whatever was done to it', () => {
  fc.assert(
    fc.property(fc.array(step), steps => {
      const queue = new PriorityQueue<number>((a, b) => a - b)
      let expected: number[] = []
      const isEven = (number: number) => number % 2 === 0
      for (const next of steps) {
        if (next === 'take') assert.equal(queue.take(), expected.shift())
        else if (next === 'retain') {
          queue.retain(isEven)
          expected = expected.filter(isEven)
        } else {
          queue.add(next)
          expected = [...expected, next].sort((a, b) => a - b)
        }
        assert.equal(queue.first(), expected[0])
        assert.equal(queue.size, expected.length)
      }
    }),
    RUNS,
  )
})

void test('an error with any fields and causes crosses the wire', () => {
  fc.assert(
    fc.property(fc.string(), fc.dictionary(fc.string(), fc.anything()), fc.anything(), (message, fields, cause) => {
      const error = Object.assign(new Error(message, { cause }), fields)
      const copy = errorFromWire(structuredClone(errorToWire(error)))
      assert.ok(copy instanceof Error)
    }),
    RUNS,
  )
})

const large = fc.constantFrom<unknown>('x'.repeat(2 ** 22), Buffer.alloc(2 ** 22), ['y'.repeat(2 ** 20), new Map()])
const somewhatLarge = fc.oneof({ weight: 2, arbitrary: fc.anything() }, large)

/** Errors with causes and errors of any size, which may lead back to them. */
const monster: fc.Arbitrary<Error> = fc
  .tuple(
    fc.array(fc.tuple(fc.constantFrom(Error, TypeError), fc.dictionary(fc.string(), somewhatLarge, { maxKeys: 5 })), {
      minLength: 1,
      maxLength: 5,
    }),
    fc.array(fc.tuple(fc.nat(4), fc.nat(4), fc.constantFrom('cause', 'errors', 'message', 'name', 'stack', 'code'))),
    somewhatLarge,
  )
  .map(([parts, links, value]) => {
    const errors = parts.map(([Class, fields]) => Object.assign(new Class('message'), fields))
    // Replacing a stack formats the old one, which throws once the name or the message cannot be converted.
    const stacksFirst = [...links].sort(([, , a], [, , b]) => Number(b === 'stack') - Number(a === 'stack'))
    for (const [from, to, field] of stacksFirst) {
      const target = errors[to % errors.length]
      const given = field === 'cause' ? target : field === 'errors' ? Array(40).fill(target) : value
      Object.defineProperty(errors[from % errors.length], field, { value: given, configurable: true, enumerable: true })
    }
    return errors[0] ?? new Error('none')
  })

void test('an error of any size and shape becomes a message of a few megabytes', () => {
  fc.assert(
    fc.property(monster, error => {
      const text = JSON.stringify(errorToWire(error))
      assert.ok(text.length < 2 ** 24, `${String(text.length)} characters`)
      assert.ok(errorFromWire(JSON.parse(text) as ReturnType<typeof errorToWire>) instanceof Error)
    }),
    { numRuns: 300 },
  )
})

void test('no text forges a log line: a task is one line, and the further lines of details are indented', () => {
  const forging = fc.oneof(
    text,
    fc
      .array(
        fc.constantFrom('\n', '\r', '\r\n', '\u2028', '\u0085', '\u001b[2K', '2026:nschwarz:cluster:ERROR\t', 'a'),
        {
          maxLength: 8,
        },
      )
      .map(parts => parts.join('')),
  )
  fc.assert(
    fc.property(forging, forging, forging, fc.option(forging, { nil: undefined }), (taskType, _id, what, details) => {
      const [first = '', ...others] = taskLine({ taskType, _id }, what, details).split('\n')
      assert.equal(first.split('\t').length, 2)
      assert.match(first, /^1970-01-01T00:00:00.000Z:nschwarz:cluster:/)
      for (const line of others) assert.match(line, /^( .*)?$/s)
      // eslint-disable-next-line no-control-regex -- none of these is left
      assert.doesNotMatch([first.replace('\t', ''), ...others].join(''), /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/)
      if (details === undefined) assert.deepEqual(others, [])
    }),
    RUNS,
  )
})

void test('undefined and holes in a list are refused with their path, wherever the list is', () => {
  const lists = fc.tuple(fc.array(plain, { maxLength: 3 }), fc.boolean(), fc.array(plain, { maxLength: 3 }))
  fc.assert(
    fc.property(lists, fc.boolean(), ([before, isHole, after], isNested) => {
      const list: unknown[] = [...before, undefined, ...after]
      if (isHole) Reflect.deleteProperty(list, before.length)
      const result = copyPlain(isNested ? { list } : list)
      assert.ok('fault' in result)
      const { path, value } = result.fault
      assert.deepEqual([path, value], [`${isNested ? '.list' : ''}[${String(before.length)}]`, undefined])
    }),
    RUNS,
  )
})

/** Bad input at the doors through which an application, or a hand in the database, comes in. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BSON } from 'mongodb'
import { type ClusterOptions, checkOption, resolveOptions } from '../../common/options'
import { MAX_TIMER_MS, type Backoff, checkPolicy, delayOf } from '../../common/policy'
import { type NewTask, type Task, createTask, faultOf } from '../../common/task'
import { resolveTaskMap } from '../../common/task-map'
import { RUNS, anything, name, nearly } from './arbitraries'
import { Tally, attempt } from './tally'

const delay = fc.oneof(fc.constant(0), fc.nat(), fc.double({ min: 0, max: 2 ** 52, noNaN: true }))
const backoff = fc.oneof(
  delay,
  nearly({ type: fc.constantFrom('fixed', 'exponential'), delay }),
  nearly({
    type: fc.constantFrom('fixed', 'exponential'),
    delay,
    maxDelay: delay,
    jitter: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
)
const policy = { retries: fc.maxSafeNat(), backoff, timeout: fc.integer({ min: 1, max: MAX_TIMER_MS }) }
const date = fc.date({ noInvalidDate: true })
const data = fc.oneof(fc.dictionary(name, fc.nat()), fc.array(fc.nat()))
const text = fc.oneof(name, fc.constant('text'))

function assertText(value: unknown): void {
  assert.ok(typeof value === 'string' && value !== '' && value.isWellFormed())
}

function assertDate(value: unknown): void {
  assert.ok(value instanceof Date && !Number.isNaN(Number(value)))
}

function assertContainer(value: unknown): void {
  assert.ok(typeof value === 'object' && value !== null)
}

/** What the dispatcher and the settlement rely on. */
function assertRunnable(task: Task): void {
  assertText(task._id)
  assertText(task.taskType)
  assertContainer(task.data)
  assert.ok(Number.isSafeInteger(task.priority))
  assertDate(task.createdAt)
  assertDate(task.dueDate)
  for (const count of [task.attempts, task.failures, task.crashes]) assert.ok(Number.isSafeInteger(count ?? 0))
  assertPolicy(task)
}

function assertPolicy({ retries = 0, timeout = 1, backoff: given = 0 }: Partial<Task>): void {
  assert.ok(Number.isSafeInteger(retries) && retries >= 0)
  assert.ok(Number.isSafeInteger(timeout) && timeout >= 1 && timeout <= MAX_TIMER_MS)
  assertDelay(given, 1, 0)
}

function assertDelay(given: Backoff, failures: number, random: number): void {
  const milliseconds = delayOf(given, failures, random)
  const most = typeof given === 'number' ? given : (given.maxDelay ?? Math.max(given.delay, 3_600_000))
  assert.ok(milliseconds >= 0 && milliseconds <= most, `${String(milliseconds)} of at most ${String(most)}`)
  assertDate(new Date(Date.now() + milliseconds))
}

void test('whatever addTask is given, it makes a task or throws one InvalidArgumentError', () => {
  const fields = {
    taskType: text,
    data,
    priority: fc.maxSafeInteger(),
    _id: text,
    dueDate: date,
    inMemory: fc.boolean(),
  }
  const tally = new Tally()
  fc.assert(
    fc.property(fc.oneof({ weight: 9, arbitrary: nearly({ ...fields, ...policy }) }, anything), given => {
      const task = attempt(() => createTask(given as NewTask), tally)
      if (task === undefined) return
      assertRunnable(task)
      assert.equal(faultOf(task), undefined)
      assert.equal(task.state, task.dueDate > task.createdAt ? 'scheduled' : 'waiting')
    }),
    RUNS,
  )
  assert.ok(tally.isMixed)
})

const count = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })
const timer = fc.integer({ min: 1, max: MAX_TIMER_MS })
const OPTIONS: { readonly [Name in keyof Required<ClusterOptions>]: fc.Arbitrary<unknown> } = {
  port: fc.integer({ min: 1, max: 65_535 }),
  maxAvailableWorkers: count,
  workerConcurrency: fc.integer({ min: 1 }),
  refreshRate: timer,
  inMemoryOnly: fc.boolean(),
  messageBroker: fc.constantFrom(null, () => undefined),
  logs: fc.constantFrom('all', 'error', () => undefined),
  keepAlive: fc.oneof(fc.constantFrom(null, 'always'), count),
  leaseDuration: fc.integer({ min: 100, max: MAX_TIMER_MS }),
  maxCrashes: count,
  abortGrace: timer,
  keepFailed: fc.oneof(fc.constant(null), count),
  maxJobsPerWorker: fc.oneof(fc.constant(null), count),
  maxWorkerMemory: fc.oneof(fc.constant(null), count),
  startTimeout: fc.integer({ min: 1, max: MAX_TIMER_MS }),
  stopTimeout: fc.integer({ min: 0, max: MAX_TIMER_MS }),
  workerPriority: fc.option(fc.integer({ min: -20, max: 19 })),
  workerExecArgv: fc.array(fc.constantFrom('--trace-warnings', '--max-old-space-size=512')),
  autoInitialize: fc.boolean(),
  schedules: fc.constantFrom(null, {}),
  app: fc.constantFrom(null, 'shop'),
}
const NAMES = Object.keys(OPTIONS) as (keyof ClusterOptions)[]

/** Megabytes. */
const memory = fc.oneof(fc.constant(Infinity), fc.integer({ min: 1, max: 2 ** 20 }))

void test('whatever the options and the settings are, each resolved option obeys its rule or one error names it', () => {
  const layer = fc.oneof(
    { weight: 3, arbitrary: fc.constant(undefined) },
    { weight: 6, arbitrary: nearly(OPTIONS) },
    { weight: 1, arbitrary: anything },
  )
  const tally = new Tally()
  fc.assert(
    fc.property(layer, layer, fc.integer({ min: 1, max: 256 }), memory, (settings, given, cpus, limit) => {
      const resolved = attempt(() => resolveOptions(settings, given, { cpus, memory: limit }), tally)
      if (resolved === undefined) return
      assert.deepEqual(Object.keys(resolved.options).sort(), [...NAMES].sort())
      for (const option of NAMES) checkOption('resolved', option, resolved.options[option])
      const { maxAvailableWorkers } = resolved.options
      assert.ok(maxAvailableWorkers >= 1 && maxAvailableWorkers <= cpus)
    }),
    RUNS,
  )
  assert.ok(tally.isMixed)
})

void test('whatever the task map is, each of its entries can be run or one error names it', () => {
  const run = fc.constant(() => undefined)
  const entry = fc.oneof(run, nearly({ run }), nearly({ run, ...policy }), nearly({ run, backoff: run }))
  const maps = fc.oneof(
    { weight: 9, arbitrary: fc.dictionary(name, entry, { maxKeys: 4 }) },
    { weight: 1, arbitrary: anything },
  )
  const tally = new Tally()
  fc.assert(
    fc.property(maps, given => {
      const definitions = attempt(() => resolveTaskMap(given), tally)
      if (definitions === undefined) return
      assert.deepEqual([...definitions.keys()], Object.keys(given as object))
      for (const { run: found, backoff: pauses, ...rest } of definitions.values()) {
        assert.equal(typeof found, 'function')
        assertPolicy(typeof pauses === 'function' ? rest : { ...rest, backoff: pauses })
      }
    }),
    RUNS,
  )
  assert.ok(tally.isMixed)
})

/** Types of MongoDB that JavaScript has not. */
const foreign = fc.constantFrom<unknown>(
  new BSON.ObjectId(),
  BSON.Long.MAX_VALUE,
  BSON.Decimal128.fromString('1.5'),
  new BSON.Timestamp({ t: 1, i: 1 }),
  new BSON.MinKey(),
  new BSON.Code('return 1'),
)

/** As it comes out of the collection, where it can be put there. */
function stored(document: unknown): unknown {
  try {
    return BSON.deserialize(BSON.serialize(document as object, { ignoreUndefined: true }), { promoteBuffers: true })
  } catch {
    return document
  }
}

void test('whatever a document of the collection holds, it can be run or one error names the field', () => {
  const counts = { attempts: fc.nat(), failures: fc.nat(), crashes: fc.nat() }
  const fields = { _id: text, taskType: text, data, priority: fc.integer(), createdAt: date, dueDate: date, ...counts }
  const documents = fc
    .tuple(nearly({ ...fields, ...policy, state: fc.constant('running') }), fc.option(foreign, { freq: 4 }), fc.nat())
    .map(([document, value, at]) => {
      const field = Object.keys(document)[at % Object.keys(document).length] ?? '_id'
      return value === null ? document : { ...document, [field]: value }
    })
  const tally = new Tally()
  fc.assert(
    fc.property(fc.oneof({ weight: 9, arbitrary: documents }, anything), given => {
      const task = stored(given) as Task
      const fault = attempt(() => {
        const found = faultOf(task)
        if (found !== undefined) throw found
      }, tally)
      if (fault === undefined && faultOf(task) === undefined) assertRunnable(task)
    }),
    RUNS,
  )
  assert.ok(tally.isMixed)
})

void test('every backoff that is accepted gives a pause within its bounds, however often the task failed', () => {
  const tally = new Tally()
  const failures = fc.oneof(fc.integer({ min: 1, max: 2000 }), fc.maxSafeNat(), fc.maxSafeInteger())
  fc.assert(
    fc.property(fc.oneof(backoff, anything), failures, fc.double({ min: 0, max: 1, noNaN: true }), (given, ...rest) => {
      const accepted = attempt(() => checkPolicy('task', { backoff: given }).backoff, tally)
      if (accepted !== undefined) assertDelay(accepted, ...rest)
    }),
    RUNS,
  )
  assert.ok(tally.isMixed)
})

/** What an everyday developer does wrong, and the whole message that says what to do instead. */
import assert from 'node:assert/strict'
import { Mongo } from 'meteor/mongo'
import { Cluster, TaskQueue } from 'meteor/nschwarz:cluster'
import { Tinytest } from 'meteor/tinytest'
import { WAITING_HOOK_VARIABLE } from './support/remote-protocol'
import { workerMistakes } from './support/worker-mistakes'
import { type RemoteMaster, sharedMaster, withMaster } from './support/remote-master'

class Invoice {
  readonly total = 1
}
class Moment {
  toDate(): Date {
    return new Date(0)
  }
}
class DateTime {
  toJSDate(): Date {
    return new Date(0)
  }
}

const PREFIX = 'nschwarz:cluster: '
const VALUES = 'null, booleans, numbers, strings, valid Dates, binary, and arrays and plain objects of these'
const FIELDS =
  'taskType, data, priority, _id, dueDate, audience, inMemory, retries, backoff, timeout, keepDone, keepFailed'
const OPTIONS =
  'port, maxAvailableWorkers, workerConcurrency, refreshRate, inMemoryOnly, messageBroker, logs, keepAlive, ' +
  'leaseDuration, maxCrashes, abortGrace, startTimeout, keepFailed, maxJobsPerWorker, maxWorkerMemory, stopTimeout, ' +
  'workerPriority, workerExecArgv, autoInitialize, schedules, app'
const CRON = "a cron expression, for example '30 2 * * *' (minute, hour, day, month, weekday)"
const SCHEDULE_FIELDS =
  'taskType, data, priority, audience, retries, backoff, timeout, keepDone, keepFailed, cron, timeZone, every, ' +
  'catchUp, overlap'
const TIMER = 'milliseconds: an integer from 1 to 2147483647'

const task = { taskType: 'sum', data: {} }
const id = new Mongo.ObjectID('0123456789abcdef01234567')
const run = () => undefined

/** A value that the types refuse. */
const any = (value: unknown) => value as never
const loose = TaskQueue as unknown as Record<string, (...args: unknown[]) => unknown>

const add = (fields: object) => () => TaskQueue.addTask(any({ ...task, ...fields }))
const data = (value: unknown) => add({ data: value })
const option = (options: unknown) => () => new Cluster({ sum: run }, any(options))
const schedule = (given: unknown) => option({ schedules: { nightly: given } })
const map = (taskMap: unknown) => () => new Cluster(any(taskMap))

function fail(message: string): never {
  throw new Error(message)
}

/** An object with a field that cannot be read. */
function throwing(field: string, others: object = {}): object {
  return Object.defineProperty({ ...others }, field, { enumerable: true, get: () => fail(`no ${field}`) })
}

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

/** What is done, how, and the message without its prefix. */
type Mistake = readonly [what: string, call: () => unknown, message: string]

const MISTAKES: readonly Mistake[] = [
  [
    'addTask()',
    () => TaskQueue.addTask(any(undefined)),
    'addTask is undefined; allowed: an object { taskType, data, … }.',
  ],
  [
    "addTask('sum', { a: 1 })",
    () => loose.addTask?.('sum', { a: 1 }),
    `addTask is "sum" (string); allowed: an object { taskType, data, … }. Use addTask({ taskType: 'sum', data: {} }).`,
  ],
  [
    'addTask([task])',
    () => TaskQueue.addTask(any([task])),
    'addTask is an array; allowed: an object { taskType, data, … }.',
  ],
  [
    'addTask(task, callback)',
    () => loose.addTask?.(task, run),
    'addTask: the second argument is a function; allowed: none. addTask returns a promise: await it.',
  ],
  [
    'addTask(task, { dueDate })',
    () => loose.addTask?.(task, { dueDate: new Date() }),
    'addTask: the second argument is an object; allowed: none. Put it into the first.',
  ],
  [
    'addTask({ type })',
    () => TaskQueue.addTask(any({ type: 'sum', data: {} })),
    `addTask.type is no field of a task; allowed: ${FIELDS}. Did you mean taskType?`,
  ],
  [
    'addTask({ taskType }) without data',
    () => TaskQueue.addTask(any({ taskType: 'sum' })),
    'addTask.data is undefined; allowed: a plain object or an array. Use {} if it needs none.',
  ],
  [
    'taskType missing',
    () => TaskQueue.addTask(any({ data: {} })),
    'addTask.taskType is undefined; allowed: a non-empty string.',
  ],
  ["taskType ''", add({ taskType: '' }), 'addTask.taskType is "" (string); allowed: a non-empty string.'],
  ['taskType a function', add({ taskType: run }), 'addTask.taskType is a function; allowed: a non-empty string.'],
  ['taskType 7', add({ taskType: 7 }), "addTask.taskType is 7 (number); allowed: a non-empty string. Use '7'."],
  [
    'taskType unpaired',
    add({ taskType: '\ud800' }),
    'addTask.taskType is "\ud800" (string); allowed: a string without unpaired surrogates.',
  ],
  ['payload', add({ payload: {} }), `addTask.payload is no field of a task; allowed: ${FIELDS}. Did you mean data?`],
  [
    'prioritty',
    add({ prioritty: 2 }),
    `addTask.prioritty is no field of a task; allowed: ${FIELDS}. Did you mean priority?`,
  ],
  ['delay', add({ delay: 1000 }), `addTask.delay is no field of a task; allowed: ${FIELDS}. Did you mean dueDate?`],
  [
    'runAt',
    add({ runAt: new Date() }),
    `addTask.runAt is no field of a task; allowed: ${FIELDS}. Did you mean dueDate?`,
  ],
  [
    'attempts',
    add({ attempts: 3 }),
    `addTask.attempts is no field of a task; allowed: ${FIELDS}. Did you mean retries?`,
  ],
  ['something', add({ something: 1 }), `addTask.something is no field of a task; allowed: ${FIELDS}.`],
  ['data null', data(null), 'addTask.data is null; allowed: a plain object or an array.'],
  ['data text', data('text'), 'addTask.data is "text" (string); allowed: a plain object or an array.'],
  ['data 7', data(7), 'addTask.data is 7 (number); allowed: a plain object or an array.'],
  ['data Date', data(new Date(0)), 'addTask.data is a Date; allowed: a plain object or an array.'],
  ['data promise', data(Promise.resolve({})), `addTask.data is a Promise; allowed: ${VALUES}. Await it first.`],
  [
    'data class instance',
    data({ invoice: new Invoice() }),
    `addTask.data.invoice is an Invoice; allowed: ${VALUES}. Copy what the task needs into a plain object.`,
  ],
  [
    'data top class',
    data(new Invoice()),
    `addTask.data is an Invoice; allowed: ${VALUES}. Copy what the task needs into a plain object.`,
  ],
  ['data Map', data({ map: new Map() }), `addTask.data.map is a Map; allowed: ${VALUES}. Use Object.fromEntries(map).`],
  ['data Set', data({ set: new Set() }), `addTask.data.set is a Set; allowed: ${VALUES}. Use [...set].`],
  [
    'data function',
    data({ callback: run }),
    `addTask.data.callback is a function; allowed: ${VALUES}. Name the work by taskType, and give its input.`,
  ],
  ['data symbol', data({ key: Symbol('a') }), `addTask.data.key is a symbol; allowed: ${VALUES}.`],
  [
    'data bigint',
    data({ total: 1n }),
    `addTask.data.total is 1n (bigint); allowed: ${VALUES}. Use a number or a string.`,
  ],
  ['data RegExp', data({ pattern: /a/ }), `addTask.data.pattern is a RegExp; allowed: ${VALUES}. Use its source.`],
  [
    'data Error',
    data({ error: new Error('x') }),
    `addTask.data.error is an Error; allowed: ${VALUES}. Use its message.`,
  ],
  [
    'data nested promise',
    data({ user: Promise.resolve(1) }),
    `addTask.data.user is a Promise; allowed: ${VALUES}. Await it first.`,
  ],
  [
    'data [undefined]',
    data({ list: [1, undefined] }),
    `addTask.data.list[1] is undefined; allowed: ${VALUES}. Use null.`,
  ],
  [
    'data ObjectID',
    data({ userId: id }),
    `addTask.data.userId is an ObjectID; allowed: ${VALUES}. Use its toHexString().`,
  ],
  ['data moment', data({ at: new Moment() }), `addTask.data.at is a Moment; allowed: ${VALUES}. Use its toDate().`],
  [
    'data luxon',
    data({ at: new DateTime() }),
    `addTask.data.at is a DateTime; allowed: ${VALUES}. Use its toJSDate().`,
  ],
  ['data invalid date', data({ at: new Date(NaN) }), `addTask.data.at is an invalid Date; allowed: ${VALUES}.`],
  [
    'data cursor',
    data({ users: TaskQueue.find() }),
    `addTask.data.users is a Cursor; allowed: ${VALUES}. Use await cursor.fetchAsync().`,
  ],
  [
    'data $set',
    data({ $set: { a: 1 } }),
    'addTask.data.$set is an object; allowed: field names without a leading $ and without NUL, and not _bsontype.',
  ],
  [
    'data circle',
    () => {
      const circle: Record<string, unknown> = {}
      circle.self = circle
      return data(circle)()
    },
    'addTask.data is an object; allowed: at most 80 levels of nesting, and no circle.',
  ],
  [
    'data large',
    data({ text: 'x'.repeat(16_000_000) }),
    'addTask.data is an object; allowed: at most 15728640 bytes of BSON for the whole task (this has 16000155). Store it elsewhere (GridFS, S3), and give its key.',
  ],
  [
    'priority "1"',
    add({ priority: '1' }),
    'addTask.priority is "1" (string); allowed: an integer. Use the number 1, without quotes.',
  ],
  ['priority "high"', add({ priority: 'high' }), 'addTask.priority is "high" (string); allowed: an integer.'],
  ['priority 1.5', add({ priority: 1.5 }), 'addTask.priority is 1.5 (number); allowed: an integer.'],
  [
    'dueDate text',
    add({ dueDate: '2026-11-28' }),
    `addTask.dueDate is "2026-11-28" (string); allowed: a valid Date. Use new Date('2026-11-28').`,
  ],
  [
    'dueDate "tomorrow"',
    add({ dueDate: 'tomorrow' }),
    'addTask.dueDate is "tomorrow" (string); allowed: a valid Date.',
  ],
  [
    'dueDate number',
    add({ dueDate: 1_700_000_000_000 }),
    'addTask.dueDate is 1700000000000 (number); allowed: a valid Date. Use new Date(1700000000000).',
  ],
  [
    'dueDate moment',
    add({ dueDate: new Moment() }),
    'addTask.dueDate is a Moment; allowed: a valid Date. Use its toDate().',
  ],
  [
    'dueDate luxon',
    add({ dueDate: new DateTime() }),
    'addTask.dueDate is a DateTime; allowed: a valid Date. Use its toJSDate().',
  ],
  ['dueDate invalid', add({ dueDate: new Date('x') }), 'addTask.dueDate is an invalid Date; allowed: a valid Date.'],
  ['_id ObjectID', add({ _id: id }), 'addTask._id is an ObjectID; allowed: a non-empty string. Use its toHexString().'],
  ['_id 42', add({ _id: 42 }), "addTask._id is 42 (number); allowed: a non-empty string. Use '42'."],
  ["_id ''", add({ _id: '' }), 'addTask._id is "" (string); allowed: a non-empty string.'],
  ['inMemory "true"', add({ inMemory: 'true' }), 'addTask.inMemory is "true" (string); allowed: true or false.'],
  [
    'inMemory without cluster',
    add({ inMemory: true }),
    'nobody would run an in-memory task: this app has no `new Cluster`; create it first, or leave out inMemory.',
  ],
  [
    'retries "3"',
    add({ retries: '3' }),
    'addTask.retries is "3" (string); allowed: an integer from 0. Use the number 3, without quotes.',
  ],
  ['retries -1', add({ retries: -1 }), 'addTask.retries is -1 (number); allowed: an integer from 0.'],
  ['retries Infinity', add({ retries: Infinity }), 'addTask.retries is Infinity (number); allowed: an integer from 0.'],
  [
    'timeout "30s"',
    add({ timeout: '30s' }),
    `addTask.timeout is "30s" (string); allowed: ${TIMER}. Use the number 30000, in milliseconds.`,
  ],
  ['timeout 0', add({ timeout: 0 }), `addTask.timeout is 0 (number); allowed: ${TIMER}.`],
  ['timeout Infinity', add({ timeout: Infinity }), `addTask.timeout is Infinity (number); allowed: ${TIMER}.`],
  [
    'backoff "1s"',
    add({ backoff: '1s' }),
    'addTask.backoff is "1s" (string); allowed: milliseconds, or { type, delay, maxDelay, jitter }. Use the number 1000, in milliseconds.',
  ],
  [
    'backoff function',
    add({ backoff: run }),
    'addTask.backoff is a function; allowed: milliseconds, or { type, delay, maxDelay, jitter }. A function goes into the task map.',
  ],
  [
    'backoff type',
    add({ backoff: { type: 'linear', delay: 1 } }),
    `addTask.backoff.type is "linear" (string); allowed: 'fixed' or 'exponential'.`,
  ],
  [
    'backoff delay',
    add({ backoff: { type: 'fixed', delay: '100' } }),
    'addTask.backoff.delay is "100" (string); allowed: milliseconds, from 0 to 2^52. Use the number 100, without quotes.',
  ],
  [
    'backoff no delay',
    add({ backoff: { type: 'fixed' } }),
    'addTask.backoff.delay is undefined; allowed: milliseconds, from 0 to 2^52.',
  ],
  [
    'backoff jitter',
    add({ backoff: { type: 'fixed', delay: 1, jitter: 2 } }),
    'addTask.backoff.jitter is 2 (number); allowed: a number from 0 to 1.',
  ],
  [
    'backoff max',
    add({ backoff: { type: 'fixed', delay: 1, max: 2 } }),
    'addTask.backoff.max is no field of a backoff; allowed: type, delay, maxDelay, jitter.',
  ],
  [
    'addTasks(task)',
    () => TaskQueue.addTasks(any(task)),
    'addTasks is an object; allowed: an array of new tasks. Use addTask for one.',
  ],
  [
    'addTasks(a, b)',
    () => loose.addTasks?.([], [task]),
    'addTasks: the second argument is an array; allowed: none. Put it into the first.',
  ],
  [
    'addTasks wrong item',
    () => TaskQueue.addTasks(any([task, { ...task, priority: 'high' }])),
    'addTasks[1].priority is "high" (string); allowed: an integer.',
  ],
  [
    'data with a getter that throws',
    () => TaskQueue.addTask({ ...task, data: { user: { list: [throwing('name')] } } }),
    'addTask.data.user.list[0].name is unreadable, since it throws "no name"; allowed: null, booleans, numbers, strings, valid Dates, binary, and arrays and plain objects of these.',
  ],
  [
    'data that is a proxy that throws',
    () => TaskQueue.addTask({ ...task, data: new Proxy({}, { ownKeys: () => fail('no keys') }) }),
    'addTask.data is unreadable, since it throws "no keys"; allowed: null, booleans, numbers, strings, valid Dates, binary, and arrays and plain objects of these.',
  ],
  [
    'a revoked proxy as the task',
    () => TaskQueue.addTask(any(revoked())),
    'addTask is an object; allowed: an object { taskType, data, … }.',
  ],
  [
    'a revoked proxy as the options of run',
    () => TaskQueue.run(task, any(revoked())),
    'run.options is an object; allowed: an object { signal, timeout }.',
  ],
  [
    'a field with a getter that throws',
    () => TaskQueue.addTask(any(throwing('priority', { ...task }))),
    'addTask.priority is unreadable, since it throws "no priority"; allowed: a value that can be read.',
  ],
  [
    'options with a getter that throws',
    option(throwing('port')),
    'new Cluster: port is unreadable, since it throws "no port"; allowed: a value that can be read.',
  ],
  [
    'a task map with a getter that throws',
    map(throwing('sum')),
    'new Cluster: taskMap.sum is unreadable, since it throws "no sum"; allowed: a value that can be read.',
  ],
  [
    'a definition with a getter that throws',
    map({ sum: throwing('retries', { run }) }),
    'new Cluster: taskMap.sum.retries is unreadable, since it throws "no retries"; allowed: a value that can be read.',
  ],
  [
    'wait options with a getter that throws',
    () => TaskQueue.result('id', any(throwing('timeout'))),
    'result.options.timeout is unreadable, since it throws "no timeout"; allowed: a value that can be read.',
  ],
  [
    'addTasks same _id',
    () =>
      TaskQueue.addTasks([
        { ...task, _id: 'a' },
        { ...task, _id: 'a' },
      ]),
    'addTasks[1]._id is "a" (string); allowed: one that no other of these tasks has.',
  ],
  ['cancel()', () => TaskQueue.cancel(any(undefined)), 'cancel._id is undefined; allowed: a non-empty string.'],
  [
    'cancel(task)',
    () => TaskQueue.cancel(any(task)),
    "cancel._id is an object; allowed: a non-empty string. Use the task's _id.",
  ],
  [
    'cancel(addTask(…))',
    () => TaskQueue.cancel(any(Promise.resolve('id'))),
    'cancel._id is a Promise; allowed: a non-empty string. Await it first.',
  ],
  [
    'cancel([ids])',
    () => TaskQueue.cancel(any(['a', 'b'])),
    'cancel._id is an array; allowed: a non-empty string. Call it once for each task.',
  ],
  [
    'cancel(ObjectID)',
    () => TaskQueue.cancel(any(id)),
    'cancel._id is an ObjectID; allowed: a non-empty string. Use its toHexString().',
  ],
  ['pause()', () => TaskQueue.pause(any(undefined)), 'pause.taskType is undefined; allowed: a non-empty string.'],
  ["resume('')", () => TaskQueue.resume(''), 'resume.taskType is "" (string); allowed: a non-empty string.'],
  [
    'pause(type, callback)',
    () => loose.pause?.('sum', run),
    'pause: the second argument is a function; allowed: none. pause returns a promise: await it.',
  ],
  [
    'counts(options, callback)',
    () => loose.counts?.({}, run),
    'counts: the second argument is a function; allowed: none. counts returns a promise: await it.',
  ],
  [
    'schedules(callback)',
    () => loose.schedules?.(run),
    'schedules: the first argument is a function; allowed: none. schedules returns a promise: await it.',
  ],
  [
    'retry(id, callback)',
    () => loose.retry?.('id', run),
    'retry: the second argument is a function; allowed: none. retry returns a promise: await it.',
  ],
  [
    "addEventListener('completed')",
    () => {
      TaskQueue.addEventListener(any('completed'), run)
    },
    `addEventListener.eventType is "completed" (string); allowed: 'added', 'start', 'progress', 'done', 'error', 'retry', 'stalled', 'cancelled', 'workerExit'. Did you mean 'done'?`,
  ],
  [
    "addEventListener('failed')",
    () => {
      TaskQueue.addEventListener(any('failed'), run)
    },
    `addEventListener.eventType is "failed" (string); allowed: 'added', 'start', 'progress', 'done', 'error', 'retry', 'stalled', 'cancelled', 'workerExit'. Did you mean 'error'?`,
  ],
  [
    "addEventListener('exploded')",
    () => {
      TaskQueue.addEventListener(any('exploded'), run)
    },
    `addEventListener.eventType is "exploded" (string); allowed: 'added', 'start', 'progress', 'done', 'error', 'retry', 'stalled', 'cancelled', 'workerExit'.`,
  ],
  [
    "addEventListener('done')",
    () => {
      TaskQueue.addEventListener('done', any(undefined))
    },
    'addEventListener.listener is undefined; allowed: a function.',
  ],
  [
    "addEventListener('done', fn, 'sum')",
    () => {
      TaskQueue.addEventListener('done', run, any('sum'))
    },
    `addEventListener.options is "sum" (string); allowed: an object { taskType }. Use { taskType: 'sum' }.`,
  ],
  [
    "addEventListener('done', fn, { type })",
    () => {
      TaskQueue.addEventListener('done', run, any({ type: 'sum' }))
    },
    'addEventListener.options.type is no option; allowed: taskType. Did you mean taskType?',
  ],
  [
    "removeEventListener('done', 'sum')",
    () => {
      TaskQueue.removeEventListener('done', any('sum'))
    },
    'removeEventListener.listener is "sum" (string); allowed: a function.',
  ],
  [
    'inMemory.findById()',
    () => TaskQueue.inMemory.findById(any(undefined)),
    'inMemory.findById._id is undefined; allowed: a non-empty string.',
  ],
  ['new Cluster()', map(undefined), 'new Cluster: taskMap is undefined; allowed: an object of functions, by taskType.'],
  ['new Cluster([fn])', map([run]), 'new Cluster: taskMap is an array; allowed: an object of functions, by taskType.'],
  [
    'taskMap called',
    map({ sum: undefined }),
    'new Cluster: taskMap.sum is undefined; allowed: a function, or { run, schema, retries, backoff, timeout, keepDone, keepFailed, perMaster }. Give the function itself, not what it returns.',
  ],
  [
    'taskMap promise',
    map({ sum: Promise.resolve() }),
    'new Cluster: taskMap.sum is a Promise; allowed: a function, or { run, schema, retries, backoff, timeout, keepDone, keepFailed, perMaster }. Give the function itself, not what it returns.',
  ],
  [
    'taskMap text',
    map({ sum: './sum' }),
    'new Cluster: taskMap.sum is "./sum" (string); allowed: a function, or { run, schema, retries, backoff, timeout, keepDone, keepFailed, perMaster }.',
  ],
  [
    'taskMap handler',
    map({ sum: { handler: run } }),
    'new Cluster: taskMap.sum.handler is no field of a task type; allowed: run, schema, retries, backoff, timeout, keepDone, keepFailed, perMaster. Did you mean run?',
  ],
  ['taskMap no run', map({ sum: { retries: 1 } }), 'new Cluster: taskMap.sum.run is undefined; allowed: a function.'],
  [
    'taskMap retries',
    map({ sum: { run, retries: '1' } }),
    'new Cluster: taskMap.sum.retries is "1" (string); allowed: an integer from 0. Use the number 1, without quotes.',
  ],
  [
    'taskMap perMaster',
    map({ sum: { run, perMaster: '2' } }),
    'new Cluster: taskMap.sum.perMaster is "2" (string); allowed: an integer from 1. Use the number 2, without quotes.',
  ],
  [
    'taskMap perMaster 0',
    map({ sum: { run, perMaster: 0 } }),
    'new Cluster: taskMap.sum.perMaster is 0 (number); allowed: an integer from 1. To stop a type, use TaskQueue.pause.',
  ],
  [
    'taskMap concurrency',
    map({ sum: { run, concurrency: 1 } }),
    'new Cluster: taskMap.sum.concurrency is no field of a task type; allowed: run, schema, retries, backoff, timeout, keepDone, keepFailed, perMaster.',
  ],
  [
    'options number',
    option(4),
    'new Cluster: options is 4 (number); allowed: an object. Use { maxAvailableWorkers: 4 }.',
  ],
  [
    'options workers',
    option({ workers: 4 }),
    `new Cluster: workers is no option; allowed: ${OPTIONS}. Did you mean maxAvailableWorkers?`,
  ],
  [
    'options maxAvailableWorkers 0',
    option({ maxAvailableWorkers: 0 }),
    'new Cluster: maxAvailableWorkers is 0 (number); allowed: an integer from 1. To run no worker here, use autoInitialize: false.',
  ],
  [
    'options maxAvailableWorkers -1',
    option({ maxAvailableWorkers: -1 }),
    'new Cluster: maxAvailableWorkers is -1 (number); allowed: an integer from 1.',
  ],
  [
    "options maxAvailableWorkers 'auto'",
    option({ maxAvailableWorkers: 'auto' }),
    'new Cluster: maxAvailableWorkers is "auto" (string); allowed: an integer from 1.',
  ],
  [
    "options maxAvailableWorkers '4'",
    option({ maxAvailableWorkers: '4' }),
    'new Cluster: maxAvailableWorkers is "4" (string); allowed: an integer from 1. Use the number 4, without quotes.',
  ],
  [
    'options keepAlive true',
    option({ keepAlive: true }),
    "new Cluster: keepAlive is true (boolean); allowed: 'always', milliseconds (an integer from 1), or null. Use 'always'.",
  ],
  [
    "options refreshRate '1s'",
    option({ refreshRate: '1s' }),
    `new Cluster: refreshRate is "1s" (string); allowed: ${TIMER}. Use the number 1000, in milliseconds.`,
  ],
  [
    'options logs false',
    option({ logs: false }),
    "new Cluster: logs is false (boolean); allowed: 'all', 'error' or a function. Use 'error' for warnings and errors only.",
  ],
  [
    'options messageBroker object',
    option({ messageBroker: {} }),
    'new Cluster: messageBroker is an object; allowed: a function or null.',
  ],
  [
    'options port',
    option({ port: 80_000 }),
    'new Cluster: port is 80000 (number); allowed: an integer from 1 to 65535.',
  ],
  [
    'options retries',
    option({ retries: 3 }),
    `new Cluster: retries is no option; allowed: ${OPTIONS}. It belongs to a task type: { run, … } in the task map.`,
  ],
  [
    'options workerExecArgv',
    option({ workerExecArgv: '--max-old-space-size=512' }),
    `new Cluster: workerExecArgv is "--max-old-space-size=512" (string); allowed: an array of Node's flags, the first of which begins with '-'. Use ['--max-old-space-size=512'].`,
  ],
  [
    'options stopTimeout',
    option({ stopTimeout: '10s' }),
    'new Cluster: stopTimeout is "10s" (string); allowed: milliseconds: an integer from 0 to 2147483647. Use the number 10000, in milliseconds.',
  ],
  [
    'options autoInitialize',
    option({ autoInitialize: 'false' }),
    'new Cluster: autoInitialize is "false" (string); allowed: true or false.',
  ],
  [
    'options autoInitialise',
    option({ autoInitialise: false }),
    `new Cluster: autoInitialise is no option; allowed: ${OPTIONS}. Did you mean autoInitialize?`,
  ],
  [
    'a memory limit with a unit',
    option({ maxWorkerMemory: '512m' }),
    'new Cluster: maxWorkerMemory is "512m" (string); allowed: megabytes: an integer from 1, or null.',
  ],
  [
    'a duration in days',
    option({ keepFailed: '7d' }),
    'new Cluster: keepFailed is "7d" (string); allowed: milliseconds (an integer from 1), or null. Use the number 604800000, in milliseconds.',
  ],
  [
    'a duration that is not allowed either',
    option({ refreshRate: '1000h' }),
    `new Cluster: refreshRate is "1000h" (string); allowed: ${TIMER}.`,
  ],
  [
    'schedules in an array',
    option({ schedules: [] }),
    'new Cluster: schedules is an array; allowed: an object of schedules, by name, or null.',
  ],
  [
    'a schedule that is a text',
    schedule('0 2 * * *'),
    `new Cluster: schedules.nightly is "0 2 * * *" (string); allowed: an object { taskType, data, cron or every, … }. Use { taskType: '…', cron: '0 2 * * *' }.`,
  ],
  [
    'a schedule without a time',
    schedule({ taskType: 'sum' }),
    'new Cluster: schedules.nightly is an object; allowed: an object with exactly one of cron and every.',
  ],
  [
    'a schedule with two',
    schedule({ taskType: 'sum', cron: '@daily', every: 1000 }),
    'new Cluster: schedules.nightly is an object; allowed: an object with exactly one of cron and every.',
  ],
  [
    'cron: minute 61',
    schedule({ taskType: 'sum', cron: '61 2 * * *' }),
    `new Cluster: schedules.nightly.cron is "61 2 * * *" (string); allowed: ${CRON}. Invalid value for minute: 61.`,
  ],
  [
    'cron: four fields',
    schedule({ taskType: 'sum', cron: '2 * * *' }),
    `new Cluster: schedules.nightly.cron is "2 * * *" (string); allowed: ${CRON}.`,
  ],
  [
    'cron: a date',
    schedule({ taskType: 'sum', cron: '2026-12-01T00:00:00' }),
    `new Cluster: schedules.nightly.cron is "2026-12-01T00:00:00" (string); allowed: ${CRON}.`,
  ],
  [
    'cron: 30 February',
    schedule({ taskType: 'sum', cron: '0 0 30 2 *' }),
    `new Cluster: schedules.nightly.cron is "0 0 30 2 *" (string); allowed: ${CRON}. It never matches a date.`,
  ],
  [
    'timeZone: an offset',
    schedule({ taskType: 'sum', cron: '@daily', timeZone: '+02:00' }),
    `new Cluster: schedules.nightly.timeZone is "+02:00" (string); allowed: the name of an IANA time zone, for example 'Europe/Berlin'.`,
  ],
  [
    'timezone',
    schedule({ taskType: 'sum', cron: '@daily', timezone: 'UTC' }),
    `new Cluster: schedules.nightly.timezone is no field of a schedule; allowed: ${SCHEDULE_FIELDS}. Did you mean timeZone?`,
  ],
  [
    'timeZone beside every',
    schedule({ taskType: 'sum', every: 1000, timeZone: 'UTC' }),
    'new Cluster: schedules.nightly.timeZone is "UTC" (string); allowed: no timeZone when every is set. Use it with cron.',
  ],
  [
    'every: half a second',
    schedule({ taskType: 'sum', every: 500 }),
    'new Cluster: schedules.nightly.every is 500 (number); allowed: milliseconds: an integer from 1000 to 2^52.',
  ],
  [
    "every: '5m'",
    schedule({ taskType: 'sum', every: '5m' }),
    'new Cluster: schedules.nightly.every is "5m" (string); allowed: milliseconds: an integer from 1000 to 2^52. Use the number 300000, in milliseconds.',
  ],
  [
    'a schedule of an unknown type',
    schedule({ taskType: 'sun', every: 1000 }),
    'new Cluster: schedules.nightly.taskType is "sun" (string); allowed: one of sum. Did you mean sum?',
  ],
  [
    'a schedule with wrong data',
    schedule({ taskType: 'sum', data: { run }, every: 1000 }),
    `new Cluster: schedules.nightly.data.run is a function; allowed: ${VALUES}. Name the work by taskType, and give its input.`,
  ],
  [
    'a schedule with a dueDate',
    schedule({ taskType: 'sum', every: 1000, dueDate: new Date(0) }),
    `new Cluster: schedules.nightly.dueDate is no field of a schedule; allowed: ${SCHEDULE_FIELDS}. Each tick has its own.`,
  ],
  [
    'overlap: true',
    schedule({ taskType: 'sum', every: 1000, overlap: true }),
    "new Cluster: schedules.nightly.overlap is true (boolean); allowed: 'skip' or 'queue'.",
  ],
  [
    'catchUp: all',
    schedule({ taskType: 'sum', every: 1000, catchUp: 'all' }),
    `new Cluster: schedules.nightly.catchUp is "all" (string); allowed: 'last' or 'none'.`,
  ],
  [
    'a schedule with a getter that throws',
    option({ schedules: throwing('nightly') }),
    'new Cluster: schedules.nightly is unreadable, since it throws "no nightly"; allowed: a value that can be read.',
  ],
  [
    'a schedule named a@b',
    option({ schedules: { 'a@b': { taskType: 'sum', every: 1000 } } }),
    'new Cluster: schedules: a name is "a@b" (string); allowed: a name without @.',
  ],
  [
    'app: a/b',
    option({ app: 'a/b' }),
    'new Cluster: app is "a/b" (string); allowed: a non-empty string without /, or null.',
  ],
  [
    'runSchedule()',
    () => TaskQueue.runSchedule(any(undefined)),
    'runSchedule.name is undefined; allowed: a non-empty string.',
  ],
  [
    'pauseSchedule(name, callback)',
    () => loose.pauseSchedule?.('nightly', run),
    'pauseSchedule: the second argument is a function; allowed: none. pauseSchedule returns a promise: await it.',
  ],
  [
    'options that are a promise',
    option(Promise.resolve({})),
    'new Cluster: options is a Promise; allowed: an object. Await it first.',
  ],
  [
    'the task map in an object',
    map({ taskMap: { sum: run } }),
    'new Cluster: taskMap.taskMap.sum is no field of a task type; allowed: run, schema, retries, backoff, timeout, keepDone, keepFailed, perMaster. Give the map itself: new Cluster(taskMap).',
  ],
  [
    'addTasks with a hole',
    () => TaskQueue.addTasks(any(new Array(1))),
    'addTasks[0] is undefined; allowed: an object { taskType, data, … }.',
  ],
  [
    'addTask(promise)',
    () => TaskQueue.addTask(any(Promise.resolve(task))),
    'addTask is a Promise; allowed: an object { taskType, data, … }. Await it first.',
  ],
]

async function messageOf(call: () => unknown): Promise<string> {
  try {
    await call()
  } catch (error) {
    return (error as Error).message
  }
  return 'no error'
}

for (const [what, call, message] of MISTAKES) {
  Tinytest.addAsync(`mistakes - ${what}`, async () => {
    assert.equal(await messageOf(call), PREFIX + message)
  })
}

Tinytest.addAsync('mistakes - in a worker, too, each has a message that says what to do', async () => {
  const master = await sharedMaster()
  for (const [what, { message }] of Object.entries(workerMistakes)) {
    assert.equal(await master.resultOf({ taskType: 'mistake', data: { what } }), PREFIX + message, what)
  }
})

const OF_A_CLUSTER: readonly (readonly [(master: RemoteMaster) => unknown, string])[] = [
  [
    master => master.call('stop', any(5000)),
    'cluster.stop is 5000 (number); allowed: an object { timeout }. Use { timeout: 5000 }.',
  ],
  [
    master => master.call('stop', any({ timeout: '5s' })),
    'cluster.stop: timeout is "5s" (string); allowed: milliseconds: an integer from 0 to 2147483647. Use the number 5000, in milliseconds.',
  ],
  [master => master.call('stop', any({ grace: 1 })), 'cluster.stop: grace is no option; allowed: timeout.'],
  [
    master => master.call('setRefreshRate', any('1000')),
    `cluster.setRefreshRate: refreshRate is "1000" (string); allowed: ${TIMER}. Use the number 1000, without quotes.`,
  ],
  [master => master.call('setRefreshRate', 0), `cluster.setRefreshRate: refreshRate is 0 (number); allowed: ${TIMER}.`],
  [
    master => master.call('secondCluster'),
    'there is a Cluster in this process already; put all tasks in one task map.',
  ],
]

Tinytest.addAsync('mistakes - with a cluster, each has a message that says what to do', async () => {
  const master = await sharedMaster()
  for (const [call, message] of OF_A_CLUSTER) assert.equal(await messageOf(() => call(master)), PREFIX + message)
})

Tinytest.addAsync('mistakes - the synchronous calls of Meteor 2 say which to use', async () => {
  for (const method of ['findOne', 'insert', 'update', 'remove']) {
    assert.match(await messageOf(() => loose[method]?.({})), new RegExp(`not available on the server.*${method}Async`))
  }
})

Tinytest.addAsync('mistakes - a startup hook that waits for a task is named after ten seconds', async () => {
  await withMaster({ env: { [WAITING_HOOK_VARIABLE]: '1' } }, async master => {
    await master.written(/WARNING\ta Meteor\.startup hook has not returned for 10 s/)
    await master.written(/the hook has its result: xxx/)
    assert.equal(master.output.match(/a Meteor\.startup hook/g)?.length, 1)
  })
})

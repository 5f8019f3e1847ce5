/** Bad input on the pipe between master and worker, in both directions: the application may use the same pipe. */
import assert from 'node:assert/strict'
import { decode } from '../../common/pipe/codec'
import { test } from 'node:test'
import fc from 'fast-check'
import { unwrap, wrap } from '../../common/pipe/envelope'
import { type ToMaster, type ToWorker, isToMaster, isToWorker, jobFromWire } from '../../common/pipe/protocol'
import { linesOf, progressOf } from '../../common/report'
import { type WireError, type WireValue, errorFromWire, fromWire } from '../../common/pipe/wire'
import { RUNS, anything, name, nearly, piped } from './arbitraries'
import { Tally } from './tally'

const token = fc.oneof(name, fc.constant('token'))
const wires = fc.letrec(tie => ({
  error: nearly({
    name: fc.string(),
    message: fc.string(),
    stack: fc.option(fc.string(), { nil: undefined }),
    fields: fc.dictionary(fc.oneof(name, fc.constantFrom('name', 'message', 'stack', 'cause', 'code')), anything),
    cause: fc.option(tie('value'), { nil: undefined }),
    errors: fc.option(fc.array(tie('value'), { maxLength: 2 }), { nil: undefined }),
  }),
  value: fc.oneof({ weight: 1, arbitrary: nearly({ value: anything }) }, nearly({ error: tie('error') })),
}))
const { error, value } = wires
const number = fc.nat()

const job = nearly({
  _id: name,
  taskType: name,
  data: nearly({ value: anything }),
  priority: number,
  createdAt: number,
  dueDate: number,
})
const done = nearly({ kind: fc.constant('done'), value })
const failed = nearly({
  kind: fc.constant('failed'),
  error,
  isFinal: fc.option(fc.boolean(), { nil: undefined }),
})
const postponed = nearly({ kind: fc.constant('postponed'), delay: number })
const answered = nearly({ kind: fc.constant('answered'), value })
const refused = nearly({ kind: fc.constant('refused'), error })

const addOutcome = nearly({ kind: fc.constantFrom('stored', 'declined', 'duplicate') })

const signal = nearly({ _id: name, taskType: name, priority: number, dueDate: number })
const line = nearly({ at: number, text: fc.string() })

const toMaster = fc.oneof(
  nearly({ kind: fc.constant('ready') }),
  nearly({ kind: fc.constant('add'), offer: number, task: nearly({ value: nearly({ _id: name, taskType: name }) }) }),
  nearly({ kind: fc.constant('tasksAdded'), tasks: fc.array(signal, { maxLength: 3 }), areNew: fc.boolean() }),
  nearly({
    kind: fc.constant('report'),
    token,
    progress: nearly({ value: anything }),
    lines: fc.array(line, { maxLength: 3 }),
  }),
  nearly({ kind: fc.constantFrom('started', 'expired', 'recalled', 'cancelled'), token }),
  nearly({
    kind: fc.constant('outcome'),
    token,
    outcome: fc.oneof(done, failed, postponed),
    duration: number,
    rss: fc.option(number, { nil: undefined }),
  }),
  nearly({ kind: fc.constant('await'), token, wait: number, _id: name, createdAt: number, sequence: number }),
  nearly({ kind: fc.constant('stopWaiting'), wait: number }),
  nearly({ kind: fc.constant('typePaused'), taskType: name, isPaused: fc.boolean() }),
  nearly({ kind: fc.constant('measured'), rss: number, eventLoopUtilization: number }),
  nearly({ kind: fc.constant('ask'), token, conversation: number, status: number, data: value }),
)
const toWorker = fc.oneof(
  nearly({
    kind: fc.constant('run'),
    token,
    job,
    attempt: number,
    startBefore: fc.option(number, { nil: undefined }),
    clockOffset: fc.option(number, { nil: undefined }),
  }),
  nearly({ kind: fc.constant('recall'), token }),
  nearly({ kind: fc.constant('added'), offer: number, outcome: fc.oneof(addOutcome, failed) }),
  nearly({ kind: fc.constant('ended'), wait: number, ending: fc.oneof(done, failed, postponed) }),
  nearly({ kind: fc.constant('abort'), token, reason: error }),
  nearly({ kind: fc.constant('answer'), token, conversation: number, answer: fc.oneof(answered, refused) }),
)

/** In its envelope mostly, in another's or in none, and through the pipe where it can go through one. */
function raw(message: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  const wrapped = fc.oneof({ weight: 9, arbitrary: message }, anything).map(inner => wrap([inner as ToMaster]))
  const others = fc.oneof(
    anything,
    message,
    nearly({ 'nschwarz:cluster': fc.tuple(message) }),
    nearly({ 'nschwarz:cluster': message }),
  )
  return fc.oneof({ weight: 9, arbitrary: wrapped }, { weight: 1, arbitrary: others }).map(piped)
}

/** What master and worker do with an error: they keep, log and tell its texts. */
function assertError(wire: WireError): void {
  for (let cause: unknown = errorFromWire(wire); cause instanceof Error; cause = cause.cause) {
    assert.ok(typeof cause.name === 'string' && typeof cause.message === 'string')
    assert.ok(cause.stack === undefined || typeof cause.stack === 'string')
  }
}

function assertValue(wire: WireValue): void {
  assert.doesNotThrow(() => fromWire(wire))
  if (Object.hasOwn(wire, 'error')) assertError((wire as { error: WireError }).error)
}

function receiveAsMaster(message: ToMaster): void {
  if (message.kind === 'ready') return
  if (message.kind === 'tasksAdded') {
    for (const { taskType, dueDate } of message.tasks)
      assert.ok(typeof taskType === 'string' && Number.isFinite(dueDate))
    return
  }
  if (message.kind === 'taskCancelled' || message.kind === 'add') {
    assert.doesNotThrow(() => decode(message.task))
    return
  }
  if (message.kind === 'typePaused') {
    assert.deepEqual([typeof message.taskType, typeof message.isPaused], ['string', 'boolean'])
    return
  }
  if (message.kind === 'measured') {
    assert.ok(Number.isFinite(message.rss))
    return
  }
  if (message.kind === 'await' || message.kind === 'stopWaiting') {
    assert.ok(Number.isInteger(message.wait))
    if (message.kind === 'await') assert.ok(Number.isFinite(message.createdAt) && typeof message._id === 'string')
    return
  }
  assert.equal(typeof message.token, 'string')
  if (message.kind === 'ask') assertValue(message.data)
  if (message.kind === 'report') {
    assert.doesNotThrow(() => [progressOf(message), linesOf(message)])
    return
  }
  if (message.kind !== 'outcome') return
  assert.equal(typeof message.duration, 'number')
  assert.equal(typeof (message.rss ?? 0), 'number')
  const { outcome } = message
  if (outcome.kind === 'done') assertValue(outcome.value)
  else if (outcome.kind === 'failed') assertError(outcome.error)
  else assert.ok(outcome.delay >= 0)
}

function receiveAsWorker(message: ToWorker): void {
  if (message.kind === 'added') {
    if (message.outcome.kind === 'failed') assertError(message.outcome.error)
    return
  }
  if (message.kind === 'measure') return
  if (message.kind === 'ended') {
    assert.ok(Number.isInteger(message.wait))
    if (message.ending.kind === 'done') assertValue(message.ending.value)
    else assertError(message.ending.error)
    return
  }
  assert.equal(typeof message.token, 'string')
  switch (message.kind) {
    case 'run':
      assert.ok([message.token, message.job._id, message.job.taskType].every(field => typeof field === 'string'))
      assert.equal(typeof message.attempt, 'number')
      assert.doesNotThrow(() => jobFromWire(message.job))
      assert.equal(typeof (message.startBefore ?? 0), 'number')
      assert.equal(typeof (message.clockOffset ?? 0), 'number')
      return
    case 'recall':
      return
    case 'abort':
      assertError(message.reason)
      return
    case 'answer':
      if (message.answer.kind === 'answered') assertValue(message.answer.value)
      else assertError(message.answer.error)
  }
}

void test('whatever a worker sends, it is left alone, unreadable, or a message that the master can handle', () => {
  const tally = new Tally()
  fc.assert(
    fc.property(raw(toMaster), input => {
      const [message] = unwrap(input, isToMaster)
      if (message === undefined || message.kind === 'unreadable') tally.refused++
      else {
        receiveAsMaster(message)
        tally.accepted++
      }
    }),
    RUNS,
  )
  assert.ok(tally.isMixed)
})

void test('whatever the master sends, it is left alone, unreadable, or a message that the worker can handle', () => {
  const tally = new Tally()
  fc.assert(
    fc.property(raw(toWorker), input => {
      const [message] = unwrap(input, isToWorker)
      if (message === undefined || message.kind === 'unreadable') tally.refused++
      else {
        receiveAsWorker(message)
        tally.accepted++
      }
    }),
    RUNS,
  )
  assert.ok(tally.isMixed)
})

/** An error with this many causes, each the cause of the one before. */
function chain(length: number): { name: string; message: string; fields: object; cause?: object } {
  const wire = { name: 'Error', message: '', fields: {} }
  return length === 0 ? wire : { ...wire, cause: { error: chain(length - 1) } }
}

void test('causes that run in a circle, or deeper than any that is sent, are not accepted', () => {
  const circle = chain(0)
  circle.cause = { error: circle }
  const send = (wire: object) =>
    unwrap(
      piped(wrap([{ kind: 'outcome', token: '', duration: 0, outcome: { kind: 'failed', error: wire } } as never])),
      isToMaster,
    )
  const kinds = (wire: object) => send(wire).map(({ kind }) => kind)
  assert.deepEqual(kinds(chain(8)), ['outcome'])
  for (const wire of [chain(9), chain(500), circle]) assert.deepEqual(kinds(wire), ['unreadable'])
})

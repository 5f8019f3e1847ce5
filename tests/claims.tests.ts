import { MongoInternals } from 'meteor/mongo'
import { Random } from 'meteor/random'
import { Tinytest } from 'meteor/tinytest'
import { createTask, type NewTask, type Task } from '../common/task'
import type { Claim } from '../server/queue/claim'
import { MongoClaims } from '../server/queue/mongo/claims/claim'
import { MongoMaintenance } from '../server/queue/mongo/maintenance'
import { type Owner, currentOwner, isGone } from '../server/queue/mongo/documents/owner'
import { add, addAll } from '../server/queue/mongo/add'
import { markAwaited } from '../server/queue/mongo/awaited'
import { cancelTask, startAnew } from '../server/queue/mongo/cancel'
import type { PauseCollection } from '../server/queue/mongo/pauses'
import type { RawCollection as Raw, StoredTask } from '../server/queue/mongo/documents/schema'
import { MongoSettler } from '../server/queue/mongo/claims/settle'
import {
  HAS_EXPIRED,
  type Pipeline,
  failedWithoutError,
  rescued,
  settledAs,
} from '../server/queue/mongo/documents/updates'
import { DONE, RETENTION, SILENT, UNLIMITED, WIRE, complete, fail, release, settle, requestFor } from './support/settle'
import type { TestDatabase } from './support/database'
import { Gate } from './support/gate'
import { withDatabase } from './support/remote-master'
import { eventually } from './support/wait'

const OTHER: Owner = { id: 'other', host: 'another', pid: 1, system: '', startedAt: '' }
const inAnHour = () => new Date(Date.now() + 3_600_000)

const STARTED = { hasStarted: true }

class Queue {
  readonly database: TestDatabase
  /** The tasks that could not be claimed or read, and were failed. */
  readonly refused: string[] = []
  readonly cancelled: Task[] = []
  readonly poisoned: { task: Task; error: Error }[] = []
  readonly listener = {
    taskRefused: (_id: string) => this.refused.push(_id),
    emitCancelled: (task: Task) => this.cancelled.push(task),
    emitPoisoned: (task: Task, error: Error) => this.poisoned.push({ task, error }),
  }

  constructor(database: TestDatabase) {
    this.database = database
  }

  get raw(): Raw {
    return this.database.tasks as unknown as Raw
  }

  get pauses(): PauseCollection {
    return this.database.pauses as unknown as PauseCollection
  }

  get settler(): MongoSettler {
    return new MongoSettler(this.raw, RETENTION)
  }

  claims(
    types: string[] = ['TEST'],
    owner: Owner = currentOwner(),
    leaseDuration = 15_000,
    rooms = UNLIMITED,
  ): MongoClaims {
    return new MongoClaims(this.raw, owner, { taskTypes: types, leaseDuration, listener: this.listener, rooms })
  }

  get maintenance(): MongoMaintenance {
    const { listener, pauses } = this
    return new MongoMaintenance(this.raw, { taskTypes: ['TEST'], retention: RETENTION, listener, pauses })
  }

  async add(given: Partial<NewTask> = {}): Promise<string> {
    const task = createTask({ taskType: 'TEST', data: {}, ...given })
    await this.database.tasks.insertOne({ ...task })
    return task._id
  }

  find(_id: string) {
    return this.database.tasks.findOne({ _id })
  }
}

async function refused(test: TestCaseResults, claim: Promise<unknown>, message: RegExp): Promise<void> {
  try {
    await claim
    test.fail('it was claimed')
  } catch (error) {
    test.matches((error as Error).message, message)
  }
}

/** Storage tests: run on every driver that Meteor 3 ships. */
function storage(name: string, run: (test: TestCaseResults, queue: Queue) => Promise<void>): void {
  Tinytest.addAsync(`storage - ${name}`, test => withDatabase(database => run(test, new Queue(database))))
}

type TestCaseResults = Parameters<Parameters<typeof Tinytest.addAsync>[1]>[0]

async function next(claims: MongoClaims): Promise<Claim | undefined> {
  const [claim] = (await claims.claim(Random.id(), 1)).claims
  return claim
}

async function claimed(claims: MongoClaims): Promise<Claim> {
  const claim = await next(claims)
  if (claim === undefined) throw new Error('nothing to claim')
  return claim
}

/** With these data, a document has room for little else. */
const LARGE_DATA = { text: 'x'.repeat(15 * 2 ** 20) }
const LONG_LOG = [{ at: new Date(0), text: 'x'.repeat(2 ** 19) }]

for (const [what, log] of Object.entries({ 'its result': [], 'its result or its log': LONG_LOG.concat(LONG_LOG) })) {
  storage(
    `a done task whose document has no room for ${what} is done, and says so to who waits`,
    async (test, queue) => {
      const _id = await queue.add({ data: LARGE_DATA, keepDone: 3_600_000 })
      const claim = await claimed(queue.claims())
      const settlement = { ...DONE, keepDone: 3_600_000, kept: { result: 'x'.repeat(2 ** 20) } }
      test.equal(await queue.settler.settleOne({ ...requestFor(claim, settlement), report: { log } }), 'settled')
      test.equal((await queue.find(_id))?.state, 'done')
      const ending = (await markAwaited(queue.raw, _id))?.ending
      test.equal(ending?.kind === 'failed' && ending.error.name, 'UnsendableValueError')
    },
  )
}

storage('a task whose error is larger than the driver can send is failed without it', async (test, queue) => {
  const _id = await queue.add()
  const claim = await claimed(queue.claims())
  const error = { name: 'Error', message: 'broken', stack: null, failedAt: new Date() }
  const wire = { ...WIRE, message: '\u0001'.repeat(3 * 2 ** 20) }
  const settlement = { kind: 'failed' as const, error, wire, counts: {} }
  test.equal(await settle(queue.settler, claim, settlement), 'settled')
  test.equal((await queue.find(_id))?.state, 'failed')
})

storage(
  'claims come in the order of both queues, first come first served within a millisecond',
  async (test, queue) => {
    const sameMoment = new Date(1000)
    const late = await queue.add({ priority: 2 })
    const early = await queue.add({ priority: 2, dueDate: sameMoment })
    const urgent = await queue.add({ priority: 7 })
    const low = await Promise.all([1, 2, 3].map(() => queue.add({ dueDate: sameMoment })))
    await queue.database.tasks.updateMany({ priority: 1 }, { $set: { createdAt: sameMoment } })
    const claims = queue.claims()
    const order: string[] = []
    for (let claim = await next(claims); claim; claim = await next(claims)) order.push(claim.task._id)
    test.equal(order, [urgent, early, late, ...low])
  },
)

storage('a claim carries the task, its owner and a token of its own', async (test, queue) => {
  const _id = await queue.add({ data: { when: new Date(5), bytes: Buffer.from('x') }, priority: 3 })
  const { task, token } = await claimed(queue.claims(['TEST'], OTHER))
  test.equal(task._id, _id)
  test.equal(task.data, { when: new Date(5), bytes: Buffer.from('x') })
  test.isTrue(task.createdAt instanceof Date && task.dueDate instanceof Date)
  test.equal(task.state, 'running')
  test.isFalse('claim' in task)
  const { claim } = (await queue.find(_id)) as unknown as { claim: StoredTask['claim'] }
  test.equal([claim?.token, claim?.owner], [token, OTHER])
  test.isTrue(claim?.expiresAt instanceof Date)
})

storage('types of other apps are not claimed', async (test, queue) => {
  await queue.add({ taskType: 'OTHER', priority: 9 })
  const own = await queue.add({ taskType: 'SECOND' })
  const claims = queue.claims(['TEST', 'SECOND'])
  test.equal(await claims.countDue(10), 1)
  test.equal((await claimed(claims)).task._id, own)
  test.isUndefined(await next(claims))
})

storage('two masters that claim at once never get the same task', async (test, queue) => {
  await Promise.all(Array.from({ length: 40 }, () => queue.add()))
  const masters = [queue.claims(), queue.claims(['TEST'], OTHER)]
  const taken = await Promise.all(Array.from({ length: 40 }, (_item, index) => next(masters[index % 2] as MongoClaims)))
  test.equal(new Set(taken.map(claim => claim?.task._id)).size, 40)
})

storage('a task that is due later is not claimed, and not counted', async (test, queue) => {
  await queue.add({ dueDate: inAnHour() })
  await queue.add({ dueDate: new Date(Date.now() + 30 * 24 * 3_600_000) })
  const claims = queue.claims()
  await queue.maintenance.promoteDue()
  test.isUndefined(await next(claims))
  test.equal(await claims.countDue(10), 0)
})

storage('counting due tasks stops at the limit', async (test, queue) => {
  await Promise.all([1, 2, 3, 4].map(() => queue.add()))
  test.equal(await queue.claims().countDue(2), 2)
})

storage('no more tasks of a type are claimed or counted than it has room for', async (test, queue) => {
  for (let n = 0; n < 4; n++) {
    await queue.add({ taskType: 'FULL', priority: 9 })
    await queue.add({ taskType: 'SMALL', priority: 8 })
    await queue.add({ priority: n })
  }
  const roomOf = (type: string) => ({ FULL: 0, SMALL: 2 })[type] ?? Infinity
  const claims = queue.claims(['FULL', 'SMALL', 'TEST'], currentOwner(), 15_000, { roomOf })
  test.equal(await claims.countDue(10), 6)
  const first = await claims.claim(Random.id(), 3)
  test.equal(
    first.claims.map(({ task: { taskType, priority } }) => [taskType, priority]),
    [
      ['SMALL', 8],
      ['SMALL', 8],
      ['TEST', 3],
    ],
  )
  test.isTrue(first.mayBeMore)
  test.equal((await next(claims))?.task.taskType, 'SMALL')
  const none = queue.claims(['FULL'], currentOwner(), 15_000, { roomOf })
  test.equal(await none.claim(Random.id(), 5), { claims: [], mayBeMore: false })
  test.equal(await none.countDue(5), 0)
})

storage('a due date that is moved takes effect, in both directions', async (test, queue) => {
  const sooner = await queue.add({ dueDate: inAnHour() })
  const later = await queue.add()
  await queue.database.tasks.updateOne({ _id: sooner }, { $set: { dueDate: new Date(0) } })
  await queue.database.tasks.updateOne({ _id: later }, { $set: { dueDate: inAnHour() } })
  const claims = queue.claims()
  test.isUndefined(await next(claims), 'a waiting task that was moved into the future')
  test.equal((await queue.find(later))?.state, 'scheduled')
  await queue.maintenance.promoteDue()
  test.equal((await claimed(claims)).task._id, sooner)
  test.isUndefined(await next(claims))
})

storage('a task that is done leaves the queue', async (test, queue) => {
  const _id = await queue.add()
  const claim = await claimed(queue.claims())
  test.isTrue(await complete(queue.settler, claim))
  test.equal(await queue.find(_id), null)
})

storage('a task that failed stays with its error, and is not claimed again', async (test, queue) => {
  const _id = await queue.add()
  const claims = queue.claims()
  const claim = await claimed(claims)
  const error = { name: 'Error', message: '$broken', stack: null, failedAt: new Date(7) }
  test.isTrue(await fail(queue.settler, claim, error))
  const stored = await queue.find(_id)
  test.equal([stored?.state, stored?.error, stored?.claim], ['failed', error, undefined])
  test.isUndefined(await next(claims))
})

storage('a task that is released can be claimed again', async (test, queue) => {
  const _id = await queue.add()
  const claims = queue.claims()
  const claim = await claimed(claims)
  test.isTrue(await release(queue.settler, claim, STARTED))
  test.isUndefined((await queue.find(_id))?.claim)
  test.notEqual((await claimed(claims)).token, claim.token)
})

/** A claim of another master, whose lease has run out, and which this one has taken over. */
async function takenOver(queue: Queue): Promise<Claim> {
  const claim = await claimed(queue.claims(['TEST'], OTHER, 1))
  await eventually('it is taken over', async () => (await queue.maintenance.rescueExpired([])) > 0)
  return claim
}

storage('whoever does not hold the task changes nothing', async (test, queue) => {
  const _id = await queue.add()
  const former = await takenOver(queue)
  const holder = await claimed(queue.claims())
  const failure = { name: 'Error', message: 'late', stack: null, failedAt: new Date() }
  test.isFalse(await complete(queue.settler, former))
  test.isFalse(await fail(queue.settler, former, failure))
  test.isFalse(await release(queue.settler, former, STARTED))
  test.equal((await queue.find(_id))?.state, 'running')
  test.isTrue(await complete(queue.settler, holder))
})

storage('a task removed and added again under its _id is not ended by the job of the first', async (test, queue) => {
  await queue.add({ _id: 'again' })
  const claims = queue.claims()
  const former = await claimed(claims)
  await queue.database.tasks.deleteOne({ _id: 'again' })
  await queue.add({ _id: 'again' })
  test.equal(await settle(queue.settler, former, { kind: 'released', hasStarted: true }), 'removed')
  test.equal(await settle(queue.settler, former, DONE), 'removed')
  test.equal((await queue.find('again'))?.state, 'waiting')
})

storage('only the tasks of the named owners are released', async (test, queue) => {
  const gone: Owner = { ...currentOwner(), pid: 2 ** 22 + 1 }
  const { maintenance } = queue
  const [first, second] = [await queue.add({ priority: 2 }), await queue.add({ priority: 1 })]
  await claimed(queue.claims(['TEST'], gone))
  await claimed(queue.claims(['TEST'], OTHER))
  const owners = await maintenance.owners()
  test.equal(owners.filter(isGone), [gone])
  test.equal(await maintenance.rescueFrom(owners.filter(isGone)), 1)
  test.equal([(await queue.find(first))?.state, (await queue.find(second))?.state], ['waiting', 'running'])
  test.equal(await maintenance.rescueFrom([]), 0)
})

Tinytest.add('storage - a process is gone only when that is certain', test => {
  const self = currentOwner()
  test.isFalse(isGone(self))
  test.isTrue(isGone({ ...self, startedAt: '1' }), 'its pid now belongs to another process')
  test.isTrue(isGone({ ...self, pid: 2 ** 22 + 1 }), 'nobody has its pid')
  test.isFalse(isGone({ ...self, pid: 2 ** 22 + 1, host: 'another' }), 'another machine cannot be asked')
  test.isFalse(isGone({ ...self, pid: 2 ** 22 + 1, system: 'another' }), 'nor another container')
})

storage('a lease that was not renewed in time gives the task to others, one that was does not', async (test, queue) => {
  const [renewed, expired, own] = [
    await queue.add({ priority: 3 }),
    await queue.add({ priority: 2 }),
    await queue.add(),
  ]
  const other = queue.claims(['TEST'], OTHER, 1)
  const claim = await claimed(other)
  await claimed(other)
  const held = await claimed(queue.claims(['TEST'], currentOwner(), 1))
  const renewing = queue.claims(['TEST'], OTHER, 60_000)
  test.equal([...(await renewing.renew([claim]))], [])
  const rescue = () => queue.maintenance.rescueExpired([held.token])
  await eventually('the lease has run out', async () => (await rescue()) > 0)
  test.equal((await queue.find(expired))?.state, 'waiting')
  test.equal((await queue.find(renewed))?.state, 'running')
  test.equal((await queue.find(own))?.state, 'running', 'its own it renews, however late')
})

storage(
  'who ended a task that was taken over can be told from what is left of it (invariant 2)',
  async (test, queue) => {
    await queue.add({ _id: 'taken over' })
    const lost = await takenOver(queue)
    const holder = await claimed(queue.claims())
    test.isTrue(await complete(queue.settler, holder))
    test.isTrue(await complete(queue.settler, holder), 'again, as if the acknowledgement had been lost')
    test.equal(await settle(queue.settler, lost, DONE), 'takenOver')
    const kept = await queue.find('taken over')
    test.equal([kept?.state, kept?.removeAt instanceof Date], ['done', true])
  },
)

storage('many are claimed at once, in their order, each by one master only', async (test, queue) => {
  const ids: string[] = []
  for (let i = 0; i < 60; i++) ids.push(await queue.add({ priority: 100 - i }))
  test.equal(
    (await queue.claims().claim('first', 20)).claims.map(({ task }) => task._id),
    ids.slice(0, 20),
  )
  const masters = [queue.claims(), queue.claims(['TEST'], OTHER)]
  const taken = await Promise.all(masters.map(async claims => (await claims.claim(Random.id(), 30)).claims))
  const claims = taken.flat()
  test.equal(new Set(claims.map(({ task }) => task._id)).size, claims.length)
  test.equal(new Set(claims.map(({ token }) => token)).size, claims.length)
  test.isTrue(claims.every(({ task }) => task.state === 'running' && task.attempts === 1))
})

storage('a claim of which others took a part says that more may wait', async (test, queue) => {
  for (let i = 0; i < 20; i++) await queue.add({ priority: 100 - i })
  const other = queue.claims(['TEST'], OTHER)
  const tasks = queue.database.tasks as unknown as Raw
  // The other master is faster.
  const racing = new Proxy(tasks, {
    get: (_tasks, name) => {
      if (name !== 'updateMany') return (tasks[name as keyof Raw] as () => unknown).bind(tasks)
      return async (...args: Parameters<Raw['updateMany']>) => {
        await other.claim(Random.id(), 3)
        return tasks.updateMany(...args)
      }
    },
  })
  const options = {
    taskTypes: ['TEST'],
    leaseDuration: 15_000,
    listener: SILENT,
    rooms: UNLIMITED,
  }
  const { claims, mayBeMore } = await new MongoClaims(racing, currentOwner(), options).claim(Random.id(), 10)
  test.equal([claims.length, mayBeMore], [7, true])
  test.equal((await other.claim(Random.id(), 50)).mayBeMore, false)
})

storage(
  'when one of many is not held any more, the others end, and it is known which (invariant 2)',
  async (test, queue) => {
    for (let i = 0; i < 12; i++) await queue.add({ priority: 100 - i })
    const claims = queue.claims()
    const { claims: held } = await claims.claim(Random.id(), 12)
    const [removed, taken] = [held[3], held[8]]
    await queue.database.tasks.deleteOne({ _id: removed?.task._id ?? '' })
    const lost = { 'claim.expiresAt': new Date(0) }
    await queue.database.tasks.updateOne({ _id: taken?.task._id ?? '' }, { $set: lost })
    await queue.maintenance.rescueExpired([])
    const error = { name: 'Error', message: 'broken', stack: null, failedAt: new Date(7) }
    const verdicts = await queue.settler.settleAll(
      held.map((claim, index) =>
        requestFor(claim, index % 2 === 0 ? { kind: 'failed', error, wire: WIRE, counts: {} } : DONE),
      ),
    )
    // The job of the one that was removed is done.
    test.equal(
      verdicts.map((verdict, index) => [verdict, index] as const).filter(([verdict]) => verdict !== 'settled'),
      [['takenOver', 8]],
    )
    test.equal(await queue.database.tasks.countDocuments({ state: 'failed' }), 5)
    test.equal(await queue.database.tasks.countDocuments({ state: 'waiting' }), 1)
    test.equal(await queue.database.tasks.countDocuments(), 6)
  },
)

storage('a request to cancel one of many wins, whatever becomes of the others', async (test, queue) => {
  const error = { name: 'Error', message: 'broken', stack: null, failedAt: new Date(7) }
  const settlements = [
    DONE,
    { kind: 'failed', error, wire: WIRE, counts: { failures: 1 } },
    { kind: 'retried', error, counts: { failures: 1 }, delay: 1000 },
    { kind: 'released', hasStarted: true },
  ] as const
  for (const settlement of settlements) {
    await queue.add()
    await queue.add()
    const [asked, other] = (await queue.claims().claim(Random.id(), 2)).claims
    if (asked === undefined || other === undefined) throw new Error('too few claims')
    const cancellation = await cancelTask(queue.raw, { _id: asked.task._id }, RETENTION)
    test.equal([cancellation?.token, cancellation?.task.state], [asked.token, 'running'])
    test.isUndefined(await startAnew(queue.raw, asked.task._id), 'it has not ended')
    const requests = [asked, other].map(claim => requestFor(claim, settlement))
    test.equal(await queue.settler.settleAll(requests), ['cancelled', 'settled'])
    test.equal((await queue.find(asked.task._id))?.state, 'cancelled')
    test.equal(await settle(queue.settler, asked, settlement), 'cancelled', 'as if the acknowledgement had been lost')
    await queue.database.tasks.deleteMany({})
  }
})

const FAILURE = { name: 'Error', message: '$broken', stack: null, failedAt: new Date(7) }
const COUNTS = { failures: 2 }
const FAILED = { kind: 'failed', error: FAILURE, wire: WIRE, counts: {} } as const
const HOLDER = {
  settledBy: 'token',
  report: { startedAt: new Date(6), progress: { $sum: 1 } },
  keepFailed: RETENTION.keepFailedExpression,
}
const SHORTLY = { $literal: 60_000 }

/**
 * Every update that takes a task out of `running`, and the state in which it leaves a task without a request to cancel.
 */
const LEAVING: Readonly<Record<string, readonly [Pipeline, string]>> = {
  done: [settledAs(DONE, HOLDER), 'done'],
  'done and kept': [settledAs({ ...DONE, keepDone: 60_000, kept: { result: { $sum: 1 } } }, HOLDER), 'done'],
  'done, with a result that cannot be stored': [settledAs({ ...DONE, value: { error: WIRE } }, HOLDER), 'done'],
  failed: [settledAs({ ...FAILED, counts: COUNTS }, HOLDER), 'failed'],
  'failed and not kept for long': [settledAs(FAILED, { ...HOLDER, keepFailed: SHORTLY }), 'failed'],
  'failed without room for the error': [failedWithoutError(HOLDER), 'failed'],
  retried: [settledAs({ kind: 'retried', error: FAILURE, counts: COUNTS, delay: 60_000 }, HOLDER), 'scheduled'],
  'retried at once': [settledAs({ kind: 'retried', error: FAILURE, counts: COUNTS, delay: 0 }, HOLDER), 'waiting'],
  released: [settledAs({ kind: 'released', hasStarted: true, crashes: 1, isSuspect: true }, HOLDER), 'waiting'],
  'released unstarted': [settledAs({ kind: 'released', hasStarted: false }, HOLDER), 'waiting'],
  cancelled: [settledAs({ kind: 'cancelled', hasStarted: true }, HOLDER), 'cancelled'],
  'cancelled unstarted': [settledAs({ kind: 'cancelled', hasStarted: false }, HOLDER), 'cancelled'],
  'rescued from a master that may live': [rescued(true, RETENTION.keepFailedExpression), 'waiting'],
  'rescued from a master that is gone': [rescued(false, SHORTLY, 'token'), 'waiting'],
}

/** What else a running task may carry. */
const CARRIED: readonly Record<string, unknown>[] = [
  { attempts: 1 },
  { attempts: 3, failures: 1, crashes: 2, error: FAILURE, isTakenOver: true, settledBy: 'an earlier token' },
  { attempts: 1, awaited: 'result', runBy: 'caller' },
  { attempts: 1, awaited: 'result', keepFailed: 1000, keepDone: 1000 },
  { attempts: 1, removeAt: new Date(8), cancelledAt: new Date(9), replaced: 'another' },
]

for (const [name, [update, state]] of Object.entries(LEAVING)) {
  storage(
    `a task that is ${name} is cancelled instead if that was asked for, and is free in any case`,
    async (test, queue) => {
      for (const carried of CARRIED) {
        for (const isRequested of [false, true]) {
          const _id = await queue.add()
          const claim = { token: 'token', owner: OTHER, expiresAt: inAnHour() }
          const request = isRequested ? { cancelRequestedAt: new Date() } : {}
          await queue.database.tasks.updateOne({ _id }, { $set: { state: 'running', claim, ...carried, ...request } })
          await queue.raw.updateOne({ _id }, update)
          const left = (await queue.find(_id)) as unknown as StoredTask
          test.equal(left.state, isRequested ? 'cancelled' : state)
          test.equal([left.claim, left.cancelRequestedAt], [undefined, undefined])
          test.equal(left.attempts, Number(carried.attempts) - (name.endsWith('unstarted') ? 1 : 0))
          if (left.state === 'cancelled') test.isTrue(Number(left.cancelledAt) > 9)
          if (isRequested) test.equal([left.error, left.failures], [carried.error, carried.failures])
        }
      }
    },
  )
}

storage('a new task is stored as a claim, unless its _id is taken', async (test, queue) => {
  const claims = queue.claims()
  const data = { text: '$no.path', nested: { list: [new Date(3), Buffer.from('x')] } }
  const task = createTask({ taskType: 'TEST', data, _id: 'new' })
  const claim = await claims.addClaimed('batch', task)
  test.equal([claim.token, claim.task.state, claim.task.attempts], ['batch:new', 'running', 1])
  const { claim: stored, ...kept } = (await queue.find('new')) as unknown as StoredTask
  test.equal(stored?.token, claim.token)
  test.equal(Object.keys(kept).sort(), [...Object.keys(task), 'attempts'].sort())
  test.equal(kept.createdAt, task.createdAt)
  await refused(test, claims.addClaimed('another', task), /a task with the _id "new"/)
  test.isTrue(await complete(queue.settler, claim))
})

storage('a task that is stored as a claim replaces no document but one of a done task', async (test, queue) => {
  const others: object[] = [{ state: 'failed' }, { state: 'running', claim: {} }, { taskType: 'of 2.x' }, { note: 1 }]
  for (const [number, fields] of others.entries()) {
    const _id = `taken ${String(number)}`
    await queue.database.tasks.insertOne({ _id, ...fields })
    const task = createTask({ taskType: 'TEST', data: {}, _id })
    await refused(test, queue.claims().addClaimed('batch', task), /a task with the _id "taken/)
    test.equal(await queue.find(_id), { _id, ...fields })
  }
})

storage(
  'a done task that is kept gives up its _id, and its former holder can tell (invariant 2)',
  async (test, queue) => {
    for (const isClaimed of [true, false]) {
      await queue.add({ _id: 'kept' })
      const lost = await claimed(queue.claims(['TEST'], OTHER, 1))
      await eventually('it is taken over', async () => (await queue.maintenance.rescueExpired([])) > 0)
      const holder = await claimed(queue.claims())
      await complete(queue.settler, holder)
      const anew = createTask({ taskType: 'TEST', data: {}, _id: 'kept' })
      if (isClaimed) await queue.claims().addClaimed(Random.id(), anew)
      else await add(anew, queue.raw)
      test.equal(await settle(queue.settler, lost, DONE), 'takenOver')
      test.isTrue(await complete(queue.settler, holder), 'again, as if the acknowledgement had been lost')
      test.equal((await queue.find('kept'))?.state, isClaimed ? 'running' : 'waiting')
      await queue.database.tasks.deleteMany({})
    }
  },
)

storage('the lease of a task that is stored as a claim begins when another master finds it', async (test, queue) => {
  const claims = queue.claims(['TEST'], OTHER, 1000)
  const add = (_id: string) => claims.addClaimed('batch', createTask({ taskType: 'TEST', data: {}, _id }))
  const [renewed, held] = [await add('renewed'), await add('held')]
  await add('left alone')
  const patient = queue.claims(['TEST'], OTHER, 60_000)
  await patient.renew([renewed])
  const expiryOf = async (_id: string) => ((await queue.find(_id)) as unknown as StoredTask).claim?.expiresAt
  test.equal([await expiryOf('held'), await expiryOf('left alone')], [undefined, undefined])
  const { maintenance } = queue
  const needsAttention = async () => (await maintenance.poll()).findings.has('expired')
  test.isTrue(await needsAttention())
  test.equal(await maintenance.rescueExpired([held.token]), 0)
  const left = Number(await expiryOf('left alone')) - Date.now()
  test.isTrue(left <= 1000, 'a lease is as long as its holder asked for')
  test.isUndefined(await expiryOf('held'), 'its holder renews it')
  await patient.renew([held])
  await eventually('the lease has run out', needsAttention)
  test.equal(await maintenance.rescueExpired([]), 1)
  const states = await Promise.all(['renewed', 'held', 'left alone'].map(async _id => (await queue.find(_id))?.state))
  test.equal(states, ['running', 'running', 'waiting'])
})

storage('a lease that ran out and was not taken over is renewed as one in time', async (test, queue) => {
  await queue.add()
  const late = await claimed(queue.claims(['TEST'], OTHER, 1))
  await eventually('it has run out', async () => (await queue.maintenance.poll()).findings.size > 0)
  test.equal([...(await queue.claims(['TEST'], OTHER, 60_000).renew([late]))], [])
  test.isFalse((await queue.maintenance.poll()).findings.size > 0)
  test.isTrue(await complete(queue.settler, late))
})

storage('whoever takes over a task with a request to cancel it cancels it, once', async (test, queue) => {
  const claims = queue.claims(['TEST'], OTHER, 1)
  await queue.add({ priority: 2 })
  await queue.add()
  const [asked, other] = [await claimed(claims), await claimed(claims)]
  await cancelTask(queue.raw, { _id: asked.task._id }, RETENTION)
  const { maintenance } = queue
  await eventually('both are taken over', async () => {
    await maintenance.rescueExpired([])
    return (await queue.database.tasks.countDocuments({ state: 'running' })) === 0
  })
  test.equal(
    queue.cancelled.map(({ _id, state }) => [_id, state]),
    [[asked.task._id, 'cancelled']],
  )
  test.equal(await settle(queue.settler, asked, DONE), 'cancelledElsewhere')
  test.equal(await settle(queue.settler, other, DONE), 'takenOver')
})

storage('what has expired is found by the index, without a look at any other claim', async (test, queue) => {
  await queue.maintenance.createIndexes()
  const claims = queue.claims(['TEST'], OTHER, 60_000)
  for (let count = 0; count < 20; count++) await queue.add()
  await claims.claim('batch', 20)
  const { executionStats } = (await queue.database.tasks
    .find({ state: 'running', $expr: HAS_EXPIRED })
    .explain('executionStats')) as { executionStats: { totalKeysExamined: number; totalDocsExamined: number } }
  test.isTrue(executionStats.totalKeysExamined <= 1)
  test.equal(executionStats.totalDocsExamined, 0)
})

/** Somebody wrote them by hand, and they cannot be claimed, or read. */
const POISON: Record<string, () => Record<string, unknown>> = {
  'is too large to carry a claim': () => ({ text: 'x'.repeat(16 * 1024 * 1024 - 300) }),
  // What PCRE knows and JavaScript does not.
  'the driver cannot read': () => ({ pattern: new MongoInternals.NpmModules.mongodb.module.BSON.BSONRegExp('(?i)x') }),
}

for (const [what, data] of Object.entries(POISON)) {
  for (const limit of [1, 10]) {
    storage(
      `claiming ${String(limit)}: a document that ${what} fails, and those behind it are claimed`,
      async (test, queue) => {
        const task = createTask({ taskType: 'TEST', data: {}, _id: 'poison', priority: 9 })
        await queue.database.tasks.insertOne({ ...task, data: data() })
        const behind = await Promise.all(Array.from({ length: limit }, () => queue.add()))
        const claims = queue.claims()
        const found: string[] = []
        while (found.length < limit)
          found.push(...(await claims.claim(Random.id(), limit)).claims.map(({ task: { _id } }) => _id))
        test.equal(found.sort(), behind.sort())
        test.equal(
          await queue.database.tasks.countDocuments({ _id: 'poison', state: 'failed', claim: { $exists: false } }),
          1,
        )
        test.equal(
          queue.poisoned.map(({ task: { _id, taskType, state } }) => [_id, taskType, state]),
          [['poison', 'TEST', 'failed']],
        )
        test.matches(queue.poisoned[0]?.error.message ?? '', /the task cannot be run, and is failed: ./)
      },
    )
  }
}

storage('of large tasks no more are read at once than memory holds; the others are released', async (test, queue) => {
  const text = 'x'.repeat(2 ** 20)
  for (let count = 0; count < 40; count++) await queue.add({ data: { text } })
  const { claims } = await queue.claims().claim(Random.id(), 40)
  test.isTrue(claims.length > 8 && claims.length <= 16, String(claims.length))
  const others = await queue.database.tasks
    .find({ state: 'waiting', attempts: 0 }, { projection: { data: 0 } })
    .toArray()
  test.equal(others.length, 40 - claims.length)
  test.isTrue(others.every(task => !('claim' in task)))
})

storage('among many claimed at once, one whose _id is no text is claimed too, to be failed', async (test, queue) => {
  const { BSON } = MongoInternals.NpmModules.mongodb.module
  for (let i = 0; i < 5; i++) await queue.add()
  const byHand = { ...createTask({ taskType: 'TEST', data: {} }), _id: new BSON.ObjectId() }
  await queue.database.tasks.insertOne(byHand as unknown as { _id: string })
  test.equal((await queue.claims().claim(Random.id(), 10)).claims.length, 6)
})

storage('a task of a process whose clock is ahead waits again when it is released', async (test, queue) => {
  const createdAt = inAnHour()
  const { insertedId } = await queue.database.tasks.insertOne({
    ...createTask({ taskType: 'TEST', data: {} }),
    createdAt,
    dueDate: createdAt,
  })
  await release(queue.settler, await claimed(queue.claims()), STARTED)
  test.equal((await queue.find(insertedId))?.state, 'waiting')
})

storage("a due date of its own counts by the database's clock, also if whoever adds is ahead", async (test, queue) => {
  const soon = new Date(Date.now() + 60_000)
  const ahead = { ...createTask({ taskType: 'TEST', data: {} }), createdAt: inAnHour(), dueDate: soon }
  const child = { ...createTask({ taskType: 'TEST', data: {} }), createdAt: inAnHour(), dueDate: soon, runBy: 'job' }
  await queue.database.tasks.insertMany([ahead, child])
  const { claims } = await queue.claims().claim(Random.id(), 10)
  test.equal(
    claims.map(({ task }) => task._id),
    [child._id],
    'a job waits for this one',
  )
  test.equal((await queue.find(ahead._id))?.state, 'scheduled')
})

storage('many tasks that could not be stored are not taken for stored', async (test, { database }) => {
  const gate = await Gate.open(process.env.MONGO_URL ?? '')
  const { MongoClient } = MongoInternals.NpmModules.mongodb.module
  const client = new MongoClient(gate.urlOf(database.name))
  const tasks = client.db().collection('taskQueue') as unknown as Raw
  try {
    await tasks.findOne()
    gate.shut()
    await addAll(
      ['a', 'b'].map(_id => createTask({ taskType: 'TEST', data: {}, _id })),
      tasks,
    )
    test.fail('they were stored')
  } catch (error) {
    test.equal((error as Error).name, 'MongoBulkWriteError')
  } finally {
    await client.close()
    await gate.close()
  }
  test.equal(await database.tasks.countDocuments(), 0)
})

storage(
  'a queue needs attention when something is due, expired or has no state, and only then',
  async (test, queue) => {
    const house = queue.maintenance
    const { tasks } = queue.database
    const needs = async (changed: Record<string, unknown>) => {
      const _id = await queue.add()
      await tasks.updateOne({ _id }, { $set: changed })
      const isSo = (await house.poll()).findings.size > 0
      await tasks.deleteOne({ _id })
      return isSo
    }
    const claim = (expiresAt: Date) => ({ token: 'any', owner: OTHER, claimedAt: new Date(), expiresAt })
    test.isFalse((await house.poll()).findings.size > 0)
    test.isTrue(await needs({ state: 'waiting' }))
    test.isFalse(await needs({ state: 'waiting', taskType: "another app's" }))
    test.isFalse(await needs({ state: 'scheduled', dueDate: inAnHour() }))
    test.isTrue(await needs({ state: 'scheduled' }))
    test.isFalse(await needs({ state: 'running', claim: claim(inAnHour()) }))
    test.isTrue(await needs({ state: 'running', claim: claim(new Date(0)) }))
    test.isTrue(await needs({ state: 'running', claim: { token: 'by hand' } }))
    test.isFalse(await needs({ state: 'failed' }))
    test.isTrue(await needs({ state: null }))
  },
)

storage('renewing tells which claims are no longer valid', async (test, queue) => {
  const claims = queue.claims()
  await queue.add()
  await queue.add()
  const [kept, lost] = [await claimed(claims), await claimed(claims)]
  await release(queue.settler, lost, STARTED)
  await claimed(claims)
  const removed = { ...lost, task: { ...lost.task, _id: 'nobody has it' } }
  test.equal([...(await claims.renew([kept, lost]))], [[lost.token, 'takenOver']])
  test.equal([...(await claims.renew([kept, removed]))], [[lost.token, 'removed']])
})

for (const limit of [1, 20]) {
  storage(
    `a claim of ${String(limit)} is an index scan without a range and without a sort stage`,
    async (test, queue) => {
      await queue.maintenance.createIndexes()
      for (let i = 0; i < 30; i++) {
        await queue.add({ taskType: 'A', priority: i })
        await queue.add({ taskType: 'B', dueDate: inAnHour() })
        await queue.add({ taskType: 'OTHER', priority: 50 })
      }
      const { planned, keysExamined } = await explainClaim(queue, ['A', 'B', 'C'], limit)
      test.notMatches(planned, /"SORT"|COLLSCAN/)
      test.matches(planned, /IXSCAN/)
      test.isTrue(keysExamined <= limit + 3, `${String(keysExamined)} keys examined`)
    },
  )
}

// MongoDB would try them all anew for each write, each for a while: that takes longer than the write, once many tasks
// were claimed.
storage('a claim leaves the database no choice between indexes', async (test, queue) => {
  await queue.maintenance.createIndexes()
  for (let i = 0; i < 30; i++) await queue.add({ taskType: 'A', priority: i })
  const { rejectedPlans } = await explainClaim(queue, ['A'], 20)
  test.equal(rejectedPlans, [])
})

storage('a claim examines as many keys with 300 types as it has types and tasks', async (test, queue) => {
  await queue.maintenance.createIndexes()
  const types = Array.from({ length: 300 }, (_type, index) => `T${String(index)}`)
  const tasks = types.flatMap(taskType => [1, 2, 3].map(priority => ({ taskType, data: {}, priority })))
  await queue.database.tasks.insertMany(tasks.map(task => ({ ...createTask(task) })))
  const { planned, keysExamined } = await explainClaim(queue, types, 1)
  test.notMatches(planned, /"SORT"|COLLSCAN/)
  test.isTrue(keysExamined <= 2 * types.length, `${String(keysExamined)} keys examined`)
  const order = (await queue.claims(types).claim(Random.id(), 400)).claims.map(({ task }) => task.priority)
  test.equal(order, [...Array<number>(300).fill(3), ...Array<number>(100).fill(2)])
})

storage('what a claim examines does not grow with what is scheduled, failed or done', async (test, queue) => {
  await queue.maintenance.createIndexes()
  const before = await explainClaimAmong(queue, 100)
  const after = await explainClaimAmong(queue, 10_000)
  test.equal(after, before)
})

/** With so many tasks of each kind that no claim is to look at, of 1,000 priorities. @returns the keys examined */
async function explainClaimAmong(queue: Queue, count: number): Promise<number> {
  const others = [
    { state: 'scheduled', dueDate: inAnHour() },
    { state: 'failed' },
    { state: 'done' },
    { state: 'waiting', taskType: 'OTHER' },
  ]
  for (const other of others) {
    const tasks = Array.from({ length: count }, (_task, index) => ({
      ...createTask({ taskType: 'A', data: {}, priority: 1 + (index % 1000) }),
      ...other,
    }))
    await queue.database.tasks.insertMany(tasks)
  }
  await queue.add({ taskType: 'A' })
  const { keysExamined } = await explainClaim(queue, ['A'], 1)
  return keysExamined
}

/**
 * Explains the very commands that a claim sends: what it examines to find tasks, and how it could have done that and
 * the updates.
 */
async function explainClaim(
  queue: Queue,
  taskTypes: string[],
  limit: number,
): Promise<{ planned: string; keysExamined: number; rejectedPlans: unknown[] }> {
  const tasks = queue.database.tasks as unknown as Raw
  const { collectionName } = tasks
  const sent: object[] = []
  const updates: object[] = []
  const collection = {
    findOneAndUpdate: (query: object, update: object[], options: { sort: object; includeResultMetadata: true }) => {
      sent.push({ findAndModify: collectionName, query, update, sort: options.sort })
      return tasks.findOneAndUpdate(query, update, options as object)
    },
    find: (...[filter, options]: Parameters<Raw['find']>) => {
      const { sort, limit: most, projection } = options ?? {}
      if (sort !== undefined) sent.push({ find: collectionName, filter, sort, limit: most, projection })
      return tasks.find(filter as object, options)
    },
    updateMany: (...[q, u, options]: Parameters<Raw['updateMany']>) => {
      const { hint } = options ?? {}
      updates.push({ update: collectionName, updates: [{ q, u, multi: true, ...(hint && { hint }) }] })
      return tasks.updateMany(q, u, options)
    },
  }
  const options = {
    taskTypes,
    leaseDuration: 15_000,
    listener: SILENT,
    rooms: UNLIMITED,
  }
  const claims = new MongoClaims(collection as unknown as Raw, currentOwner(), options)
  for (const claim of (await claims.claim(Random.id(), limit)).claims)
    await release(queue.settler, claim, { hasStarted: false })
  const explain = (commands: readonly object[]) =>
    Promise.all(commands.map(command => queue.database.db.command({ explain: command, verbosity: 'executionStats' })))
  const explained = await explain(sent)
  const stats = explained.map(
    ({ executionStats }) => executionStats as { totalKeysExamined: number; executionStages: object },
  )
  return {
    planned: JSON.stringify(stats.map(({ executionStages }) => executionStages)),
    keysExamined: stats.reduce((total, { totalKeysExamined }) => total + totalKeysExamined, 0),
    rejectedPlans: [...explained, ...(await explain(updates))].flatMap(
      ({ queryPlanner }) => (queryPlanner as { rejectedPlans: unknown[] }).rejectedPlans,
    ),
  }
}

storage('documents of 2.x are taken over, those marked as running at the start only', async (test, queue) => {
  const of2x = { taskType: 'TEST', priority: 2, data: { old: true }, createdAt: new Date(1), dueDate: new Date(2) }
  await queue.database.tasks.insertMany([
    { _id: 'waiting', ...of2x, onGoing: false },
    { _id: 'ongoing', ...of2x, onGoing: true },
    { _id: 'scheduled', ...of2x, onGoing: false, dueDate: inAnHour() },
    { _id: 'before 1.2', taskType: 'TEST', data: {}, onGoing: false, createdAt: new Date(1) },
    { _id: 'by hand', taskType: 'TEST' },
  ])
  const claims = queue.claims()
  await queue.maintenance.createIndexes()
  const without = () => queue.database.tasks.countDocuments({ state: null })
  await queue.maintenance.adopt(false)
  test.equal([await without(), (await queue.find('ongoing'))?.state], [1, undefined])
  await queue.maintenance.adopt(true)
  test.equal(await without(), 0)
  const stored = await queue.find('waiting')
  test.equal(stored, { _id: 'waiting', ...of2x, sequence: 0, state: 'waiting' })
  test.equal((await queue.find('scheduled'))?.state, 'scheduled')
  const found: string[] = []
  for (let claim = await next(claims); claim; claim = await next(claims)) found.push(claim.task._id)
  test.equal(found.sort(), ['before 1.2', 'by hand', 'ongoing', 'waiting'])
})

storage('whoever waits for a document of 2.x makes it a task, unless it may be running', async (test, queue) => {
  const of2x = { taskType: 'TEST', data: {}, priority: 1, dueDate: inAnHour() }
  await queue.database.tasks.insertMany([
    { _id: 'waiting', ...of2x, onGoing: false },
    { _id: 'ongoing', ...of2x, onGoing: true },
  ])
  const awaited = await markAwaited(queue.raw, 'waiting')
  const stored = (await queue.find('waiting')) as unknown as StoredTask
  test.equal([stored.state, stored.awaited], ['scheduled', 'result'])
  test.isTrue(stored.createdAt instanceof Date)
  test.equal(Number(awaited?.createdAt), Number(stored.createdAt), 'by this a waiter knows it')
  await markAwaited(queue.raw, 'ongoing')
  const ongoing = (await queue.find('ongoing')) as unknown as Partial<StoredTask>
  test.equal([ongoing.state, ongoing.awaited], [undefined, 'result'])
})

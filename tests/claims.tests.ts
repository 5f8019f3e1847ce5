import { MongoInternals } from 'meteor/mongo'
import { Random } from 'meteor/random'
import { Tinytest } from 'meteor/tinytest'
import { createTask, type NewTask } from '../common/task'
import type { Claim } from '../server/queue/claim'
import { Claims } from '../server/queue/mongo/claim'
import { Housekeeping } from '../server/queue/mongo/maintenance'
import { type Owner, currentOwner, isGone } from '../server/queue/mongo/owner'
import { cancelStored, storeAll } from '../server/queue/mongo/add'
import { HAS_EXPIRED } from '../server/queue/mongo/schema'
import { type StoredTask } from '../server/queue/mongo/updates'
import { complete, fail, release } from './support/claim-ends'
import type { TestDatabase } from './support/database'
import { Gate } from './support/gate'
import { withDatabase } from './support/remote-master'
import { eventually } from './support/wait'

type Raw = ConstructorParameters<typeof Claims>[0]

const OTHER: Owner = { host: 'another', pid: 1, system: '', startedAt: '' }
const inAnHour = () => new Date(Date.now() + 3_600_000)

const STARTED = { hasStarted: true }

class Queue {
  readonly database: TestDatabase
  constructor(database: TestDatabase) {
    this.database = database
  }

  claims(types: string[] = ['TEST'], owner: Owner = currentOwner(), leaseDuration = 15_000): Claims {
    return new Claims(this.database.tasks as unknown as Raw, owner, {
      taskTypes: types,
      leaseDuration,
      keepFailed: null,
    })
  }

  housekeeping(owner: Owner = currentOwner()): Housekeeping {
    return new Housekeeping(this.database.tasks as unknown as Raw, owner, ['TEST'])
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

async function next(claims: Claims): Promise<Claim | undefined> {
  const [claim] = await claims.claim(Random.id(), 1)
  return claim
}

async function claimed(claims: Claims): Promise<Claim> {
  const claim = await next(claims)
  if (claim === undefined) throw new Error('nothing to claim')
  return claim
}

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
  const { task, token } = await claimed(queue.claims())
  test.equal(task._id, _id)
  test.equal(task.data, { when: new Date(5), bytes: Buffer.from('x') })
  test.isTrue(task.createdAt instanceof Date && task.dueDate instanceof Date)
  test.equal(task.state, 'running')
  test.isFalse('claim' in task)
  const stored = (await queue.find(_id)) as unknown as { claim: { token: string; owner: Owner; claimedAt: Date } }
  test.equal([stored.claim.token, stored.claim.owner], [token, currentOwner()])
  test.isTrue(stored.claim.claimedAt instanceof Date)
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
  const taken = await Promise.all(Array.from({ length: 40 }, (_item, index) => next(masters[index % 2] as Claims)))
  test.equal(new Set(taken.map(claim => claim?.task._id)).size, 40)
})

storage('a task that is due later is not claimed, and not counted', async (test, queue) => {
  await queue.add({ dueDate: inAnHour() })
  await queue.add({ dueDate: new Date(Date.now() + 30 * 24 * 3_600_000) })
  const claims = queue.claims()
  await queue.housekeeping().promoteDue()
  test.isUndefined(await next(claims))
  test.equal(await claims.countDue(10), 0)
})

storage('counting due tasks stops at the limit', async (test, queue) => {
  await Promise.all([1, 2, 3, 4].map(() => queue.add()))
  test.equal(await queue.claims().countDue(2), 2)
})

storage('a due date that is moved takes effect, in both directions', async (test, queue) => {
  const sooner = await queue.add({ dueDate: inAnHour() })
  const later = await queue.add()
  await queue.database.tasks.updateOne({ _id: sooner }, { $set: { dueDate: new Date(0) } })
  await queue.database.tasks.updateOne({ _id: later }, { $set: { dueDate: inAnHour() } })
  const claims = queue.claims()
  test.isUndefined(await next(claims), 'a waiting task that was moved into the future')
  test.equal((await queue.find(later))?.state, 'scheduled')
  await queue.housekeeping().promoteDue()
  test.equal((await claimed(claims)).task._id, sooner)
  test.isUndefined(await next(claims))
})

storage('a task that is done leaves the queue', async (test, queue) => {
  const _id = await queue.add()
  const claim = await claimed(queue.claims())
  test.isTrue(await complete(claim))
  test.equal(await queue.find(_id), null)
})

storage('a task that failed stays with its error, and is not claimed again', async (test, queue) => {
  const _id = await queue.add()
  const claims = queue.claims()
  const claim = await claimed(claims)
  const error = { name: 'Error', message: '$broken', stack: null, failedAt: new Date(7) }
  test.isTrue(await fail(claim, error))
  const stored = await queue.find(_id)
  test.equal([stored?.state, stored?.error, stored?.claim], ['failed', error, undefined])
  test.isUndefined(await next(claims))
})

storage('a task that is given back can be claimed again', async (test, queue) => {
  const _id = await queue.add()
  const claims = queue.claims()
  const claim = await claimed(claims)
  test.isTrue(await release(claim, STARTED))
  test.isUndefined((await queue.find(_id))?.claim)
  test.notEqual((await claimed(claims)).token, claim.token)
})

storage('whoever does not hold the task changes nothing', async (test, queue) => {
  const _id = await queue.add()
  const claims = queue.claims()
  const former = await claimed(claims)
  await release(former, STARTED)
  const holder = await claimed(claims)
  const failure = { name: 'Error', message: 'late', stack: null, failedAt: new Date() }
  test.isFalse(await complete(former))
  test.isFalse(await fail(former, failure))
  test.isFalse(await release(former, STARTED))
  test.equal((await queue.find(_id))?.state, 'running')
  test.isTrue(await complete(holder))
})

storage('a task removed and added again under its _id is not ended by the job of the first', async (test, queue) => {
  await queue.add({ _id: 'again' })
  const claims = queue.claims()
  const former = await claimed(claims)
  await queue.database.tasks.deleteOne({ _id: 'again' })
  await queue.add({ _id: 'again' })
  test.isFalse(await complete(former))
  test.equal((await queue.find('again'))?.state, 'waiting')
})

storage('only the tasks of the named owners are given back', async (test, queue) => {
  const gone: Owner = { ...currentOwner(), pid: 2 ** 22 + 1 }
  const [first, second] = [await queue.add({ priority: 2 }), await queue.add({ priority: 1 })]
  await claimed(queue.claims(['TEST'], gone))
  await claimed(queue.claims(['TEST'], OTHER))
  const owners = await queue.housekeeping().owners()
  test.equal(owners.filter(isGone), [gone])
  test.equal(await queue.housekeeping().releaseAllOf(owners.filter(isGone)), 1)
  test.equal([(await queue.find(first))?.state, (await queue.find(second))?.state], ['waiting', 'running'])
  test.equal(await queue.housekeeping().releaseAllOf([]), 0)
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
  const claims = queue.claims(['TEST'], currentOwner(), 1)
  await claimed(claims)
  const renewing = queue.claims(['TEST'], OTHER, 60_000)
  test.equal([...(await renewing.renew([claim]))], [claim.token])
  await eventually('the lease has run out', async () => (await queue.housekeeping().releaseExpired()) > 0)
  test.equal((await queue.find(expired))?.state, 'waiting')
  test.equal((await queue.find(renewed))?.state, 'running')
  test.equal((await queue.find(own))?.state, 'running', 'its own it renews or gives back by name')
})

storage(
  'who ended a task that was taken over can be told from what is left of it (invariant 2)',
  async (test, queue) => {
    await queue.add({ _id: 'taken over' })
    const former = queue.claims(['TEST'], OTHER, 1)
    const lost = await claimed(former)
    const claims = queue.claims()
    await eventually('it is taken over', async () => (await queue.housekeeping().releaseExpired()) > 0)
    const holder = await claimed(claims)
    test.isTrue(await complete(holder))
    // As if the acknowledgement of each had been lost.
    const ending = { kind: 'completed' } as const
    test.isTrue(await claims.ends.endAgain({ claim: holder, ending }))
    test.isFalse(await complete(lost))
    test.isFalse(await former.ends.endAgain({ claim: lost, ending }))
    test.equal(await former.ends.fateOf(lost), 'taken')
    const kept = await queue.find('taken over')
    test.equal([kept?.state, kept?.removeAt instanceof Date], ['done', true])
  },
)

storage('many are claimed at once, in their order, each by one master only', async (test, queue) => {
  const ids: string[] = []
  for (let i = 0; i < 60; i++) ids.push(await queue.add({ priority: 100 - i }))
  test.equal(
    (await queue.claims().claim('first', 20)).map(({ task }) => task._id),
    ids.slice(0, 20),
  )
  const masters = [queue.claims(), queue.claims(['TEST'], OTHER)]
  const taken = await Promise.all(masters.map(claims => claims.claim(Random.id(), 30)))
  const claims = taken.flat()
  test.equal(new Set(claims.map(({ task }) => task._id)).size, claims.length)
  test.equal(new Set(claims.map(({ token }) => token)).size, claims.length)
  test.isTrue(claims.every(({ task }) => task.state === 'running' && task.attempts === 1))
})

storage(
  'when one of many is not held any more, the others end, and it is known which (invariant 2)',
  async (test, queue) => {
    for (let i = 0; i < 12; i++) await queue.add({ priority: 100 - i })
    const claims = queue.claims()
    const held = await claims.claim(Random.id(), 12)
    const [removed, taken] = [held[3], held[8]]
    await queue.database.tasks.deleteOne({ _id: removed?.task._id ?? '' })
    if (taken) await release(taken, STARTED)
    const error = { name: 'Error', message: 'broken', stack: null, failedAt: new Date(7) }
    const ended = await claims.ends.end(
      held.map((claim, index) =>
        index % 2 === 0
          ? { claim, ending: { kind: 'failed', error, counts: {} } }
          : { claim, ending: { kind: 'completed' } },
      ),
    )
    const lost = held.filter(claim => !ended.has(claim))
    test.equal(lost, [removed, taken])
    test.equal(await queue.database.tasks.countDocuments({ state: 'failed' }), 5)
    test.equal(await queue.database.tasks.countDocuments({ state: 'waiting' }), 1)
    test.equal(await queue.database.tasks.countDocuments(), 6)
  },
)

storage('when one of many that are given back was cancelled, it is known which', async (test, queue) => {
  const claims = queue.claims()
  await queue.add()
  await queue.add()
  const [cancelled, other] = await claims.claim('batch', 2)
  if (cancelled === undefined || other === undefined) throw new Error('too few claims')
  await cancelStored(queue.database.tasks as unknown as Raw, cancelled.task._id, null)
  const ending = { kind: 'released', hasStarted: false } as const
  const ended = await claims.ends.end([cancelled, other].map(claim => ({ claim, ending })))
  test.equal([...ended], [other])
  test.equal((await queue.find(cancelled.task._id))?.state, 'cancelled')
})

storage('a new task is stored as a claim, unless its _id is taken', async (test, queue) => {
  const claims = queue.claims()
  const data = { text: '$no.path', nested: { list: [new Date(3), Buffer.from('x')] } }
  const task = createTask({ taskType: 'TEST', data, _id: 'new' })
  const claim = await claims.insert('batch', task)
  test.equal([claim?.token, claim?.task.state, claim?.task.attempts], ['batch:new', 'running', 1])
  const [own] = await claims.findOwn()
  test.equal(own?.token, claim?.token)
  const { claim: _claim, insertedAt: _insertedAt, ...kept } = (await queue.find('new')) as unknown as StoredTask
  test.equal(Object.keys(kept).sort(), [...Object.keys(task), 'attempts'].sort())
  test.isUndefined(await claims.insert('another', task))
  test.isTrue(claim && (await complete(claim)))
})

storage("the lease of a task that is stored as a claim runs by the database's clock", async (test, queue) => {
  const claims = queue.claims(['TEST'], OTHER, 1500)
  const task = (_id: string) => createTask({ taskType: 'TEST', data: {}, _id })
  await claims.insert('batch', task('left alone'))
  const renewed = await claims.insert('batch', task('renewed'))
  const house = queue.housekeeping()
  test.isFalse(await house.needsAttention())
  test.equal(await house.releaseExpired(), 0)
  await queue.claims(['TEST'], OTHER, 60_000).renew(renewed === undefined ? [] : [renewed])
  await eventually('it needs attention', () => house.needsAttention())
  test.equal(await house.releaseExpired(), 1)
  const [left, kept] = [await queue.find('left alone'), await queue.find('renewed')]
  test.equal([left?.state, left?.claim, left?.insertedAt, kept?.state], ['waiting', undefined, undefined, 'running'])
})

storage('what has expired is found by the index, without a look at any other claim', async (test, queue) => {
  await queue.housekeeping().createIndexes()
  const claims = queue.claims(['TEST'], OTHER, 60_000)
  for (let count = 0; count < 20; count++) await queue.add()
  await claims.claim('batch', 20)
  const { executionStats } = (await queue.database.tasks
    .find({ state: 'running', $expr: HAS_EXPIRED })
    .explain('executionStats')) as { executionStats: { totalKeysExamined: number; totalDocsExamined: number } }
  test.isTrue(executionStats.totalKeysExamined <= 1)
  test.equal(executionStats.totalDocsExamined, 0)
})

storage('a document that is too large to carry a claim holds up nothing', async (test, queue) => {
  const task = createTask({ taskType: 'TEST', data: {}, _id: 'large', priority: 9 })
  const size = 16 * 1024 * 1024 - 300
  await queue.database.tasks.insertOne({ ...task, data: { text: 'x'.repeat(size) } })
  const behind = await queue.add()
  await refused(test, next(queue.claims()), /"large".* cannot be run, and is failed/)
  test.equal((await queue.find('large'))?.state, 'failed')
  test.equal((await claimed(queue.claims())).task._id, behind)
})

storage('a document that the driver cannot read holds up nothing', async (test, queue) => {
  const { BSON } = MongoInternals.NpmModules.mongodb.module
  const task = createTask({ taskType: 'TEST', data: {}, _id: 'unreadable', priority: 9 })
  // What PCRE knows and JavaScript does not.
  await queue.database.tasks.insertOne({ ...task, data: { pattern: new BSON.BSONRegExp('(?i)x') } })
  const behind = await queue.add()
  await refused(test, next(queue.claims()), /cannot be run, and is failed/)
  test.equal((await claimed(queue.claims())).task._id, behind)
  test.equal(await queue.database.tasks.countDocuments({ _id: 'unreadable', state: 'failed' }), 1)
})

storage('among many claimed at once, a document that the driver cannot read holds up nothing', async (test, queue) => {
  const { BSON } = MongoInternals.NpmModules.mongodb.module
  for (let i = 0; i < 5; i++) await queue.add()
  const task = createTask({ taskType: 'TEST', data: {}, _id: 'unreadable' })
  await queue.database.tasks.insertOne({ ...task, data: { pattern: new BSON.BSONRegExp('(?i)x') } })
  const claims = queue.claims()
  await refused(test, claims.claim(Random.id(), 10), /"unreadable".* cannot be run, and is failed/)
  test.equal(await queue.database.tasks.countDocuments({ _id: 'unreadable', state: 'failed' }), 1)
  test.equal((await claims.findOwn()).length, 5, 'the others, which the next renewal gives back')
})

storage('among many claimed at once, one whose _id is no text is claimed too, to be failed', async (test, queue) => {
  const { BSON } = MongoInternals.NpmModules.mongodb.module
  for (let i = 0; i < 5; i++) await queue.add()
  const byHand = { ...createTask({ taskType: 'TEST', data: {} }), _id: new BSON.ObjectId() }
  await queue.database.tasks.insertOne(byHand as unknown as { _id: string })
  test.equal((await queue.claims().claim(Random.id(), 10)).length, 6)
})

storage('a task of a process whose clock is ahead waits again when it is given back', async (test, queue) => {
  const createdAt = inAnHour()
  const { insertedId } = await queue.database.tasks.insertOne({
    ...createTask({ taskType: 'TEST', data: {} }),
    createdAt,
    dueDate: createdAt,
  })
  await release(await claimed(queue.claims()), STARTED)
  test.equal((await queue.find(insertedId))?.state, 'waiting')
})

storage('many tasks that could not be stored are not taken for stored', async (test, { database }) => {
  const gate = await Gate.open(process.env.MONGO_URL ?? '')
  const { MongoClient } = MongoInternals.NpmModules.mongodb.module
  const client = new MongoClient(gate.urlOf(database.name), { serverSelectionTimeoutMS: 100 })
  const tasks = client.db().collection('taskQueue') as unknown as Raw
  try {
    await tasks.findOne()
    gate.shut()
    await storeAll(
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
    const house = queue.housekeeping()
    const { tasks } = queue.database
    const needs = async (changed: Record<string, unknown>) => {
      const _id = await queue.add()
      await tasks.updateOne({ _id }, { $set: changed })
      const isSo = await house.needsAttention()
      await tasks.deleteOne({ _id })
      return isSo
    }
    const claim = (expiresAt: Date) => ({ token: 'any', owner: OTHER, claimedAt: new Date(), expiresAt })
    test.isFalse(await house.needsAttention())
    test.isTrue(await needs({ state: 'waiting' }))
    test.isFalse(await needs({ state: 'waiting', taskType: "another app's" }))
    test.isFalse(await needs({ state: 'scheduled', dueDate: inAnHour() }))
    test.isTrue(await needs({ state: 'scheduled' }))
    test.isFalse(await needs({ state: 'running', claim: claim(inAnHour()) }))
    test.isTrue(await needs({ state: 'running', claim: claim(new Date(0)) }))
    test.isTrue(await needs({ state: 'running', claim: { token: 'by hand' } }))
    test.isTrue(await needs({ state: 'running', claim: { leaseDuration: 'long' }, insertedAt: 'yesterday' }))
    test.isFalse(await needs({ state: 'failed' }))
    test.isTrue(await needs({ state: null }))
  },
)

storage('renewing tells which claims are no longer valid', async (test, queue) => {
  const claims = queue.claims()
  await queue.add()
  await queue.add()
  const [kept, lost] = [await claimed(claims), await claimed(claims)]
  await release(lost, STARTED)
  await claimed(claims)
  test.equal([...(await claims.renew([kept, lost]))], [kept.token])
  test.equal((await claims.findOwn()).length, 2)
})

for (const limit of [1, 20]) {
  storage(
    `a claim of ${String(limit)} is an index scan without a range and without a sort stage`,
    async (test, queue) => {
      await queue.housekeeping().createIndexes()
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

// MongoDB would try them all anew for each write, each for a while: that takes longer than the write, once many tasks were claimed.
storage('a claim leaves the database no choice between indexes', async (test, queue) => {
  await queue.housekeeping().createIndexes()
  for (let i = 0; i < 30; i++) await queue.add({ taskType: 'A', priority: i })
  const { rejectedPlans } = await explainClaim(queue, ['A'], 20)
  test.equal(rejectedPlans, [])
})

storage('a claim examines as many keys with 300 types as it has types and tasks', async (test, queue) => {
  await queue.housekeeping().createIndexes()
  const types = Array.from({ length: 300 }, (_type, index) => `T${String(index)}`)
  const tasks = types.flatMap(taskType => [1, 2, 3].map(priority => ({ taskType, data: {}, priority })))
  await queue.database.tasks.insertMany(tasks.map(task => ({ ...createTask(task) })))
  const { planned, keysExamined } = await explainClaim(queue, types, 1)
  test.notMatches(planned, /"SORT"|COLLSCAN/)
  test.isTrue(keysExamined <= 2 * types.length, `${String(keysExamined)} keys examined`)
  const order = (await queue.claims(types).claim(Random.id(), 400)).map(({ task }) => task.priority)
  test.equal(order, [...Array<number>(300).fill(3), ...Array<number>(100).fill(2)])
})

storage('what a claim examines does not grow with what is scheduled, failed or done', async (test, queue) => {
  await queue.housekeeping().createIndexes()
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

/** Explains the very commands that a claim sends: what it examines to find tasks, and how it could have done that and the updates. */
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
    updateOne: tasks.updateOne.bind(tasks),
    bulkWrite: tasks.bulkWrite.bind(tasks),
  }
  const options = { taskTypes, leaseDuration: 15_000, keepFailed: null }
  const claims = new Claims(collection as unknown as Raw, currentOwner(), options)
  for (const claim of await claims.claim(Random.id(), limit)) await release(claim, { hasStarted: false })
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
  await queue.housekeeping().createIndexes()
  test.equal(await queue.housekeeping().adopt(false), 4)
  test.isUndefined((await queue.find('ongoing'))?.state)
  test.equal(await queue.housekeeping().adopt(true), 1)
  test.equal(await queue.housekeeping().adopt(true), 0)
  const stored = await queue.find('waiting')
  test.equal(stored, { _id: 'waiting', ...of2x, sequence: 0, state: 'waiting' })
  test.equal((await queue.find('scheduled'))?.state, 'scheduled')
  const found: string[] = []
  for (let claim = await next(claims); claim; claim = await next(claims)) found.push(claim.task._id)
  test.equal(found.sort(), ['before 1.2', 'by hand', 'ongoing', 'waiting'])
})

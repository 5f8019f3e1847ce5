/** Faults of the first version around claims, leases and hand-written documents, each as a user sees it. */
import assert from 'node:assert/strict'
import { MongoInternals } from 'meteor/mongo'
import { Tinytest } from 'meteor/tinytest'
import type { TestDatabase } from './support/database'
import { type RemoteMaster, withDatabase, withMaster } from './support/remote-master'

const { Code, Decimal128, Long, MaxKey, MinKey, ObjectId, Timestamp } = MongoInternals.NpmModules.mongodb.module.BSON

/** All of a claim fit into one worker. */
const OPTIONS = { workerConcurrency: 30, maxAvailableWorkers: 1 }
const HEALTHY = 13

type Document = Record<string, unknown>

/** As somebody writes it into the collection. */
function documentOf(_id: string, changed: Document = {}): Document & { _id: string } {
  const now = new Date()
  const task = { taskType: 'echo', data: {}, priority: 1, createdAt: now, dueDate: now, sequence: 0, state: 'waiting' }
  return { _id, ...task, ...changed }
}

// Rows 8 and 9: a document that cannot be run.

/** Inserts documents among healthy ones such that the first of them is the first of a claim of several. */
async function insertAmongHealthy(database: TestDatabase, poisons: readonly Document[]): Promise<void> {
  const healthy = Array.from({ length: HEALTHY }, (_document, index) => {
    return documentOf(`healthy ${String(index)}`, { priority: index === 0 ? 9 : 1, data: { index } })
  })
  const others = poisons.map((poison, index) => documentOf(`poison ${String(index)}`, { priority: 5, ...poison }))
  await database.tasks.insertMany([...healthy, ...others])
}

async function assertHealthyRun(master: RemoteMaster): Promise<void> {
  for (let index = 0; index < HEALTHY; index++) {
    const { event, value, task } = await master.ending(`healthy ${String(index)}`)
    assert.deepEqual([event, value, task.attempts], ['done', { index }, 1])
  }
}

/** It has failed, once, with a reason and an event. */
async function assertFailed(master: RemoteMaster, _id: string): Promise<void> {
  const { event, task } = await master.ending(_id)
  assert.deepEqual([event, task.state], ['error', 'failed'])
  const projection = { state: 1, claim: 1, 'error.message': 1 }
  const kept = await master.database.tasks.findOne({ _id }, { projection })
  assert.deepEqual([kept?.state, kept?.claim], ['failed', undefined])
  assert.match((kept?.error as { message: string }).message, /\w/)
  assert.equal(master.endings.filter(({ task: { _id: other } }) => other === _id).length, 1)
}

async function assertGoesOn(master: RemoteMaster): Promise<void> {
  assert.deepEqual(await master.resultOf({ taskType: 'echo', data: { after: true } }), { after: true })
}

for (const [where, field] of [
  ['in its data', 'data'],
  ['deep in its data', 'data.list.deep'],
  ['in its backoff', 'backoff'],
] as const) {
  Tinytest.addAsync(
    `faults - persistent: a document with a field _bsontype ${where} fails, and those claimed with it run`,
    async () => {
      await withDatabase(async database => {
        await insertAmongHealthy(database, [{}])
        // A driver refuses to write a field of this name. An update can set it.
        const value = { $setField: { field: '_bsontype', input: {}, value: 'x' } }
        await database.tasks.updateOne({ _id: 'poison 0' }, [{ $set: { [field]: value } }])
        await withMaster({ database, options: OPTIONS }, async master => {
          await assertHealthyRun(master)
          await assertFailed(master, 'poison 0')
          await assertGoesOn(master)
        })
      })
    },
  )
}

const TIMESTAMP = new Timestamp({ t: 1, i: 1 })

for (const [what, changed] of [
  ['a Timestamp', { dueDate: TIMESTAMP, state: 'scheduled' }],
  ['a Timestamp, and that waits already,', { dueDate: TIMESTAMP, state: 'waiting' }],
  ['a MaxKey', { dueDate: new MaxKey(), state: 'scheduled' }],
  ['a regular expression', { dueDate: /x/, state: 'scheduled' }],
] as const) {
  Tinytest.addAsync(
    `faults - persistent: a document whose dueDate is ${what} fails, and those that wait beside it run`,
    async () => {
      await withDatabase(async database => {
        await insertAmongHealthy(database, [changed])
        await withMaster({ database, options: OPTIONS }, async master => {
          await assertHealthyRun(master)
          await assertFailed(master, 'poison 0')
          await assertGoesOn(master)
        })
      })
    },
  )
}

/** Each of these is less than any date, or never compared with one. */
const UNFIT: readonly Document[] = [
  ...[new MinKey(), 'tomorrow', 5, true, null, {}, [new Date(0)]].flatMap(dueDate => [
    { dueDate, state: 'scheduled' },
    { dueDate, state: 'waiting' },
  ]),
  { priority: 'high' },
  { createdAt: TIMESTAMP },
  { timeout: TIMESTAMP },
]

Tinytest.addAsync(
  'faults - persistent: documents with other unfit fields fail one by one, and those claimed with them run',
  async () => {
    await withDatabase(async database => {
      await insertAmongHealthy(database, UNFIT)
      await withMaster({ database, options: OPTIONS }, async master => {
        await assertHealthyRun(master)
        for (const index of UNFIT.keys()) await assertFailed(master, `poison ${String(index)}`)
        await assertGoesOn(master)
      })
    })
  },
)

/** Of types that BSON has and JavaScript has not. */
const FOREIGN: Document = {
  Timestamp: TIMESTAMP,
  ObjectId: new ObjectId(),
  Decimal128: Decimal128.fromString('1.5'),
  Long: Long.fromString('9223372036854775807'),
  MaxKey: new MaxKey(),
  Code: new Code('x'),
  RegExp: /x/,
}

Tinytest.addAsync(
  'faults - persistent: documents whose data holds what only BSON knows end, and those claimed with them run',
  async () => {
    await withDatabase(async database => {
      const documents = Object.values(FOREIGN).map(value => ({ data: { value, list: [value] } }))
      await insertAmongHealthy(database, documents)
      await withMaster({ database, options: OPTIONS }, async master => {
        await assertHealthyRun(master)
        for (const index of documents.keys()) {
          const { event, task } = await master.ending(`poison ${String(index)}`)
          const left = await database.tasks.countDocuments({ _id: task._id })
          assert.equal(left, event === 'done' ? 0 : 1)
        }
        await assertGoesOn(master)
      })
    })
  },
)

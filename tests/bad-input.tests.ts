/** Bad input where no call refuses it: in the collection, and in the pipe. Its variety is that of tests/properties. */
import { MongoInternals } from 'meteor/mongo'
import { TaskQueue } from 'meteor/nschwarz:cluster'
import { Random } from 'meteor/random'
import { Tinytest } from 'meteor/tinytest'
import type { TestDatabase } from './support/database'
import { type RemoteMaster, sharedMaster, withDatabase, withMaster } from './support/remote-master'
import { ticks } from './support/ticks'

type Document = Record<string, unknown>

const { ObjectId } = MongoInternals.NpmModules.mongodb.module

/** Documents of a known type that cannot be run: the field, and what somebody wrote into it. */
const UNFIT: readonly (readonly [string, unknown])[] = [
  ['_id', new ObjectId()],
  ['taskType', ['echo']],
  ['data', undefined],
  ['data', 'text'],
  ['priority', 'high'],
  ['createdAt', undefined],
  ['dueDate', 'tomorrow'],
  ['retries', 'many'],
  ['backoff', 'soon'],
  ['timeout', 0],
  ['failures', '$$NOW and then'],
  ['failures', { toString: 1, valueOf: 1 }],
]

/** Documents that are nobody's to run. */
const LEFT_ALONE: readonly Document[] = [{ taskType: '__proto__' }, { taskType: 'constructor' }]

/** Documents that lack something, and can be run all the same. */
const FIT: readonly Document[] = [
  { state: 'sleeping' },
  { state: 'running' },
  { state: 'running', claim: null },
  { state: 'running', claim: { owner: null } },
  { state: 'running', claim: 'mine' },
  { state: 'waiting', attempts: 'some' },
  { state: undefined, priority: 'high', dueDate: 'tomorrow', createdAt: undefined, data: undefined },
]

/** By this it is recognized when its `_id` is not what it should be. */
const MARK = 'mark'

async function insert({ tasks }: TestDatabase, changed: Document): Promise<string> {
  const mark = Random.id()
  const now = new Date()
  const task = { _id: mark, taskType: 'echo', data: {}, priority: 1, createdAt: now, dueDate: now, sequence: 0 }
  await tasks.insertOne({ ...task, state: 'waiting', ...changed, [MARK]: mark }, { ignoreUndefined: true })
  return mark
}

async function ending(master: RemoteMaster, mark: string): Promise<RemoteMaster['endings'][number]> {
  const find = () => master.endings.find(({ task }) => (task as unknown as Document)[MARK] === mark)
  await master.until(`the end of the document ${mark}`, () => find() !== undefined)
  return find() as RemoteMaster['endings'][number]
}

for (const [index, [field, value]] of UNFIT.entries()) {
  const name = `bad input - a document with an unfit ${field} fails, and says so (${String(index + 1)})`
  Tinytest.addAsync(name, async test => {
    const master = await sharedMaster()
    const { tasks } = master.database
    const mark = await insert(master.database, { [field]: value })
    const { event, value: error, task } = await ending(master, mark)
    test.equal([event, task.state], ['error', 'failed'])
    test.equal([(error as Error).name, (error as { field?: string }).field], ['InvalidArgumentError', `task.${field}`])
    const kept = await tasks.findOne({ [MARK]: mark })
    test.equal([kept?.state, kept?.claim], ['failed', undefined])
    test.matches((kept?.error as Error).message, new RegExp(`task\\.${field} is .*; allowed: `))
    await tasks.deleteOne({ [MARK]: mark })
  })
}

Tinytest.addAsync('bad input - a master that starts among malformed documents runs what can be run', async test => {
  await withDatabase(async database => {
    const fit = await Promise.all(FIT.map(document => insert(database, document)))
    const leftAlone = await Promise.all(LEFT_ALONE.map(document => insert(database, document)))
    await withMaster({ database }, async master => {
      for (const mark of fit) test.equal((await ending(master, mark)).event, 'done')
      test.equal(await master.resultOf({ taskType: 'echo', data: { well: 'formed' } }), { well: 'formed' })
      await ticks(database)
      const left = await database.tasks.distinct(MARK, { claim: null, state: 'waiting' })
      test.equal(left.sort(), leftAlone.sort())
    })
  })
})

Tinytest.addAsync('bad input - data over 16 MB is refused, and nothing is stored', async test => {
  const taskType = Random.id()
  const data = { bytes: Buffer.alloc(16 * 1024 * 1024) }
  await test.throwsAsync(
    () => TaskQueue.addTask({ taskType, data }),
    /addTask\.data is an object; allowed: at most \d+ bytes of BSON/,
  )
  test.equal(await TaskQueue.find({ taskType }).countAsync(), 0)
})

Tinytest.addAsync('bad input - data of 14 MB reaches its task and comes back', async test => {
  const master = await sharedMaster()
  const bytes = Buffer.alloc(14 * 1024 * 1024, 'not all the same')
  const echoed = (await master.resultOf({ taskType: 'echo', data: { bytes } })) as { bytes: Uint8Array }
  test.equal(Buffer.compare(echoed.bytes, bytes), 0)
})

Tinytest.addAsync('bad input - what a task sends through the pipe in no envelope of ours is left alone', async test => {
  const master = await sharedMaster()
  await master.workersAre(2)
  const workers = master.workerPids
  test.equal(await master.resultOf({ taskType: 'sendForeign', data: {} }), 'done all the same')
  test.equal(await master.resultOf({ taskType: 'echo', data: { still: 'here' } }), { still: 'here' })
  test.equal(master.workerPids, workers)
})

Tinytest.addAsync('bad input - a task that forges its own failure fails, and harms nobody else', async test => {
  const master = await sharedMaster()
  const { event, value, task } = await master.run({ taskType: 'forge', data: { what: 'failure' } })
  const { name, message, code } = value as Error & { code: unknown }
  test.equal([event, name, message, code], ['error', 'Forged', 'by the task', 'E_FORGED'])
  test.equal(task.error?.name, 'Forged')
  test.equal(await master.resultOf({ taskType: 'echo', data: { still: 'here' } }), { still: 'here' })
})

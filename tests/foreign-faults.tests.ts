/** Faults of one document, rule or index of other code, which must stop neither the queue nor go unnoticed. */
import { MongoInternals } from 'meteor/mongo'
import { Tinytest } from 'meteor/tinytest'
import { createLog } from '../common/log'
import { createTask } from '../common/task'
import { Outbox } from '../server/master/claims/outbox'
import { behindCommandGate } from './support/behind-command-gate'
import type { TestDatabase } from './support/database'
import { type RemoteMaster, withDatabase, withMaster } from './support/remote-master'
import { DONE, claimedInMemory, requestFor } from './support/settle'
import { ticks } from './support/ticks'
import { eventually } from './support/wait'
import type { Command } from './support/command-gate'

type Document = Parameters<TestDatabase['tasks']['insertOne']>[0]
interface BsonClasses {
  readonly BSONRegExp: new (pattern: string, flags: string) => object
  readonly Code: new (code: string, scope: object) => object
  readonly MaxKey: new () => object
  readonly Timestamp: new (time: { readonly t: number; readonly i: number }) => object
}
const { module } = MongoInternals.NpmModules.mongodb as unknown as { readonly module: { readonly BSON: BsonClasses } }
const { BSONRegExp, Code, MaxKey, Timestamp } = module.BSON

const ONE_WORKER = { maxAvailableWorkers: 1, keepAlive: 'always', workerConcurrency: 2 } as const
const MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
const TOMORROW = new Date(Date.now() + 86_400_000)

/** As other code may write it. */
function foreign(_id: string, fields: object = {}): Document {
  return { ...createTask({ taskType: 'echo', data: {}, _id }), ...fields }
}

/** Gives a test a master that starts on these documents. */
function withDocuments(
  documents: readonly object[],
  test: (master: RemoteMaster, database: TestDatabase) => Promise<void>,
  prepare: (database: TestDatabase) => Promise<unknown> = () => Promise.resolve(),
): Promise<void> {
  return withDatabase(async database => {
    await prepare(database)
    await database.tasks.insertMany([...documents] as Document[])
    await withMaster({ database, options: ONE_WORKER }, master => test(master, database))
  })
}

for (const [what, fields] of Object.entries({
  'a keepFailed of Infinity': { keepFailed: Infinity },
  'a keepFailed beyond all dates': { keepFailed: 1e300 },
  'a sequence that is a date': { sequence: new Date() },
  'crashes below zero': { crashes: -5 },
  'failures below zero': { failures: -2000 },
})) {
  Tinytest.addAsync(`faults - a document with ${what} fails, and holds up no other`, async test => {
    await withDocuments([foreign('unfit', fields), foreign('fit')], async master => {
      test.equal((await master.ending('fit')).event, 'done')
      test.equal((await master.ending('unfit')).event, 'error')
    })
  })
}

Tinytest.addAsync('faults - a document with an idHeldFor of Infinity runs, and its end is stored', async test => {
  await withDocuments([foreign('unfit', { idHeldFor: Infinity })], async master => {
    test.equal((await master.ending('unfit')).event, 'done')
  })
})

for (const [what, expiresAt] of Object.entries({
  'a timestamp': new Timestamp({ t: 1, i: 1 }),
  'a regular expression': /x/,
  'the largest key': new MaxKey(),
})) {
  Tinytest.addAsync(`faults - a lease that expires at ${what} has expired`, async test => {
    const claim = { token: 't', owner: { id: 'o' }, expiresAt }
    await withDocuments([foreign('stuck', { state: 'running', claim })], async master => {
      test.equal((await master.ending('stuck')).event, 'done')
    })
  })
}

Tinytest.addAsync('faults - a task that is due at a function with a scope fails', async test => {
  const dueDate = new Code('x', { a: 1 })
  await withDocuments([foreign('stuck', { state: 'scheduled', dueDate })], async master => {
    test.equal((await master.ending('stuck')).event, 'error')
  })
})

Tinytest.addAsync('faults - tasks whose type is no text are named', async () => {
  await withDocuments([foreign('number', { taskType: 5 }), foreign('null', { taskType: null })], async master => {
    await master.written(/2 waiting tasks whose taskType is no text/)
  })
})

Tinytest.addAsync('faults - a document of 2.x that has no room to become a task stops no other', async test => {
  const large = { _id: 'large', taskType: 'echo', data: { text: 'x'.repeat(MAX_DOCUMENT_BYTES - 95) }, onGoing: false }
  const small = { _id: 'small', taskType: 'echo', data: { a: 1 }, onGoing: false }
  await withDocuments([large, small], async (master, database) => {
    test.equal((await master.ending('small')).event, 'done')
    const { event, value } = await master.ending('large')
    test.equal(event, 'error')
    test.matches((value as Error).message, /the task cannot be run, and is failed/)
    test.equal(await database.tasks.countDocuments({ _id: 'large', state: 'failed' }), 1)
  })
})

Tinytest.addAsync('faults - all documents of 2.x become tasks, a thousand at a time', async test => {
  const documents = Array.from({ length: 2500 }, (_, n) => ({
    taskType: 'other',
    _id: String(n),
    onGoing: n % 2 === 0,
  }))
  await withDocuments(documents, async (master, database) => {
    const adopted = () => database.tasks.countDocuments({ state: 'waiting' })
    await eventually('all are adopted', async () => (await adopted()) === documents.length)
    test.equal(await master.resultOf({ taskType: 'echo', data: { a: 1 } }), { a: 1 })
  })
})

for (const [rule, prepare] of Object.entries({
  'a unique index': ({ tasks }: TestDatabase) => tasks.createIndex({ 'data.user': 1, state: 1 }, { unique: true }),
  'a validator': ({ db }: TestDatabase) =>
    db.createCollection('taskQueue', {
      validator: { $or: [{ 'data.user': { $ne: 1 } }, { state: { $ne: 'running' } }, { taskType: 'hold' }] },
    }),
})) {
  Tinytest.addAsync(`faults - ${rule} of the application that refuses one claim stops no other`, async test => {
    const prepared = async (database: TestDatabase) => prepare(database)
    const first = foreign('first', { taskType: 'hold', data: { user: 1 }, priority: 9 })
    await withDocuments(
      [first],
      async master => {
        await master.held('first')
        const refused = { taskType: 'echo', data: { user: 1 }, _id: 'refused', priority: 5 }
        const others = [2, 3].map(user => ({ taskType: 'echo', data: { user }, _id: String(user) }))
        await master.call('addTasks', [refused, ...others])
        for (const { _id } of others) test.equal((await master.ending(_id)).event, 'done')
        await master.written(/the task "refused" cannot be changed, and stays as it is until it can/)
        await master.call('release', 'first')
      },
      prepared,
    )
  })
}

/** Of the tasks of one user, one may wait at a time: an application that merges them may have such an index. */
function oneWaitsPerUser({ tasks }: TestDatabase): Promise<string> {
  const ofUsers = { state: 'waiting', 'data.user': { $exists: true } }
  return tasks.createIndex({ 'data.user': 1 }, { unique: true, partialFilterExpression: ofUsers })
}

const ofUser = { taskType: 'hold', data: { user: 1 } }
/** A claim of a process that is gone, or of one that nobody can look for, whose lease has expired. */
const expired = (token: string) => ({
  ...{ state: 'running', attempts: 1 },
  claim: { token, owner: { id: 'gone', host: 'h', pid: 1, system: 's', startedAt: '1' }, expiresAt: new Date(0) },
})

/** A done task that was taken over is kept. */
const ENDED = [undefined, 'done', 'cancelled']

// The one that is refused comes first by its `_id`.
for (const [what, documents] of Object.entries({
  'that is due': [foreign('a', { ...ofUser, state: 'scheduled' }), foreign('z', { state: 'scheduled' })],
  'whose lease has expired': [foreign('a', { ...ofUser, ...expired('1:a') }), foreign('z', expired('1:z'))],
  'whose lease has expired, and which is to be cancelled': [
    foreign('a', { ...ofUser, ...expired('1:a') }),
    foreign('z', { ...expired('1:z'), taskType: 'hold', cancelRequestedAt: new Date() }),
  ],
  'that 2.x has added': [
    { ...ofUser, _id: 'a', onGoing: false },
    { _id: 'z', taskType: 'echo', data: {}, onGoing: false },
  ],
})) {
  Tinytest.addAsync(
    `faults - a unique index that refuses a change of one task ${what} holds up no other`,
    async test => {
      const prepare = async (database: TestDatabase) => {
        await oneWaitsPerUser(database)
        await database.pauses.insertOne({ _id: 'hold', pausedAt: new Date() })
      }
      const waits = foreign('waits', ofUser)
      await withDocuments(
        [waits, ...documents],
        async (master, database) => {
          const left = async () => (await database.tasks.findOne({ _id: 'z' }))?.state as string | undefined
          await eventually('the other has ended', async () => ENDED.includes(await left()))
          await master.written(/the task "a" cannot be changed, and stays as it is until it can: .*E11000/)
          test.notMatches(master.output, /cannot read the queue/)
        },
        prepare,
      )
    },
  )
}

Tinytest.addAsync(
  'faults - after a crash the queue goes on, though a unique index refuses one former task',
  async test => {
    await withDatabase(async database => {
      await oneWaitsPerUser(database)
      await withMaster({ database, options: { ...ONE_WORKER, workerConcurrency: 1 } }, async master => {
        await master.addTask({ ...ofUser, _id: 'first' })
        await master.held('first')
        await master.addTask({ ...ofUser, _id: 'second' })
        await master.kill()
      })
      await withMaster({ database, options: ONE_WORKER }, async master => {
        test.equal(await master.resultOf({ taskType: 'echo', data: { a: 1 } }), { a: 1 })
        await master.held('second')
        await master.call('release', 'second')
        // Now the first may wait, and runs again.
        await master.held('first')
        await master.call('release', 'first')
        test.equal((await master.ending('first')).event, 'done')
      })
    })
  },
)

Tinytest.addAsync('faults - leases are renewed, though a validator refuses the renewal of one', async test => {
  await withMaster({ options: { ...ONE_WORKER, leaseDuration: 3000 } }, async master => {
    const { db, tasks } = master.database
    await master.addTask({ taskType: 'hold', data: {}, _id: 'odd' })
    await master.addTask({ taskType: 'hold', data: { isValid: true }, _id: 'valid' })
    for (const _id of ['odd', 'valid']) await master.held(_id)
    const validate = (validator: object) =>
      // Not while the indexes are built.
      eventually('it is set', () =>
        db.command({ collMod: 'taskQueue', validator }).then(
          () => true,
          () => false,
        ),
      )
    await validate({ 'data.isValid': true })
    const expiry = async (_id: string) =>
      Number(((await tasks.findOne({ _id }))?.claim as { expiresAt?: Date } | undefined)?.expiresAt)
    const before = await expiry('valid')
    await eventually('the lease is renewed', async () => (await expiry('valid')) > before + 3000)
    await master.written(/the task "odd" cannot be changed/)
    // Nobody else may change it either.
    test.equal(master.notices('stalled'), [])
    await validate({})
    for (const _id of ['odd', 'valid']) {
      await master.call('release', _id)
      test.equal((await master.ending(_id)).task.attempts, 1)
    }
  })
})

Tinytest.addAsync('faults - tasks of a collection with a collation run', async test => {
  await withDatabase(async database => {
    await database.db.createCollection('taskQueue', { collation: { locale: 'en' } })
    await withMaster({ database, options: ONE_WORKER }, async master => {
      const tasks = Array.from({ length: 20 }, (_, n) => ({ taskType: 'echo', data: { n } }))
      for (const _id of await master.call('addTasks', tasks)) test.equal((await master.ending(_id)).task.attempts, 1)
      await database.tasks.insertOne(foreign('unreadable', { data: { pattern: new BSONRegExp('(?i)x', '') } }))
      test.equal((await master.ending('unreadable')).event, 'error')
    })
  })
})

Tinytest.addAsync(
  'faults - a task that is to run alone holds up others for seconds, if a long job runs',
  async test => {
    await withMaster({ options: ONE_WORKER }, async master => {
      const long = await master.addTask({ taskType: 'hold', data: {} })
      await master.held(long)
      await master.database.tasks.insertOne(foreign('suspect', { isSuspect: true, priority: 9 }))
      await eventually('it is claimed', () => master.isRunning('suspect'))
      for (const n of [1, 2]) test.equal(await master.resultOf({ taskType: 'echo', data: { n } }), { n })
      await master.caughtUp()
      test.isFalse(master.starts.includes('suspect'))
      await master.call('release', long)
      test.equal((await master.ending('suspect')).event, 'done')
    })
  },
)

const NOT_AUTHORIZED = { code: 13, codeName: 'Unauthorized', errmsg: 'not authorized to execute command' }

Tinytest.addAsync('faults - a master that may not read the pauses runs its tasks, and says so', async test => {
  const judge = ({ name, body }: Command) =>
    ['find', 'aggregate'].includes(name) && JSON.stringify(body).includes('taskQueuePauses') ? NOT_AUTHORIZED : 'pass'
  await behindCommandGate(judge, ONE_WORKER, async master => {
    test.equal(await master.resultOf({ taskType: 'echo', data: { a: 1 } }), { a: 1 })
    await master.written(/the database refuses to read which task types are paused/)
  })
})

Tinytest.addAsync('faults - a pause whose _id is no text pauses nothing', async test => {
  await withMaster({ options: ONE_WORKER }, async master => {
    await master.database.pauses.insertOne({ _id: new Date(), taskType: 'echo' } as never)
    await ticks(master.database)
    test.equal(await master.resultOf({ taskType: 'echo', data: {} }), {})
    test.notMatches(master.output, /is paused/)
  })
})

Tinytest.addAsync('faults - a task that was paused before the start does not run, though it is in memory', async () => {
  const pauseEcho = ({ pauses }: TestDatabase) => pauses.insertOne({ _id: 'echo', pausedAt: new Date() })
  await behindCommandGate(
    ({ name, body }) => (name === 'find' && body.find === 'taskQueuePauses' ? 'hold' : 'pass'),
    ONE_WORKER,
    async (master, gate) => {
      const _id = await master.addTask({ taskType: 'echo', data: {}, inMemory: true })
      gate.judge = () => 'pass'
      gate.release()
      await master.written(/echo is paused/)
      await master.call('resume', 'echo')
      await master.ending(_id)
      await master.caughtUp()
      const [before, after] = master.output.split('echo is paused')
      if (before?.includes('started') === true || after?.includes('started') !== true) throw new Error(master.output)
    },
    pauseEcho,
  )
})

const UNREADABLE = { data: { bad: new BSONRegExp('(', '') } }

Tinytest.addAsync('faults - a task whose data cannot be read can be cancelled', async test => {
  const scheduled = { state: 'scheduled', dueDate: TOMORROW, ...UNREADABLE }
  await withDocuments([foreign('unreadable', scheduled)], async master => {
    test.equal(await master.call('cancel', 'unreadable'), true)
    test.equal((await master.notice('cancelled')).task._id, 'unreadable')
  })
})

Tinytest.addAsync('faults - a task that is too large to be claimed is counted as failed', async test => {
  const text = 'x'.repeat(MAX_DOCUMENT_BYTES - 300)
  await withDocuments([foreign('large', { data: { text } })], async master => {
    await master.ending('large')
    test.equal((await master.call('counts')).failed, 1)
  })
})

Tinytest.addAsync(
  'faults - an outcome that cannot be stored is logged once, however often that is tried',
  async test => {
    let tries = 0
    const settleOne = () => (++tries < 4 ? Promise.reject(new Error('away')) : Promise.resolve('settled' as const))
    const entries: string[] = []
    const log = createLog(({ message }) => entries.push(message))
    const outbox = new Outbox({ settleAll: settleOne as never, settleOne }, { hasBuffered: false }, log)
    const { claim } = claimedInMemory({})
    await new Promise(resolve => {
      outbox.write(requestFor(claim, DONE), resolve)
    })
    test.equal([tries, entries], [4, ['cannot be stored, trying again until it is: away']])
  },
)

Tinytest.addAsync('faults - the error of a refused connection has its reason on the task', async test => {
  await withMaster({ options: { ...ONE_WORKER, withLimits: true } }, async master => {
    const { task } = await master.run({ taskType: 'failToConnect', data: {} })
    test.equal((await master.find(task._id, false))?.error?.message, 'connect ECONNREFUSED ::1:9; and again')
    test.matches(master.output, /failed for good after 1 attempt: connect ECONNREFUSED ::1:9; and again/)
  })
})

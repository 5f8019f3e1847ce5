/** What once stopped the queue, or did harm beside it. */
import { spawn } from 'node:child_process'
import { MongoInternals } from 'meteor/mongo'
import { Tinytest } from 'meteor/tinytest'
import { clockOffset, hasJumped } from '../common/clock'
import { unwrap } from '../common/pipe/envelope'
import { type ToMaster, isToWorker, jobToWire } from '../common/pipe/protocol'
import { createTask } from '../common/task'
import { Lease } from '../server/master/claims/lease'
import { Dispatcher, type DispatcherParts } from '../server/master/dispatch/dispatcher'
import { DueTimer } from '../server/master/dispatch/due-timer'
import { isOrphan } from '../server/master/maintenance/orphans'
import { workerMark } from '../server/pool/fork/worker-mark'
import { Worker } from '../server/pool/workers/worker'
import { type ExitReport, type WorkerListener, deathOf } from '../server/pool/workers/worker-exit'
import { MemoryQueue } from '../server/queue/memory/memory-queue'
import { MongoClaims } from '../server/queue/mongo/claims/claim'
import { currentOwner, keyOf } from '../server/queue/mongo/documents/owner'
import type { RawCollection } from '../server/queue/mongo/documents/schema'
import { behindCommandGate } from './support/behind-command-gate'
import { type Command, CommandGate, isDeletion } from './support/command-gate'
import type { TestDatabase } from './support/database'
import { isAlive, readProcess } from './support/processes'
import { RemoteMaster, withDatabase, withMaster } from './support/remote-master'
import { forkedProcesses } from './support/remote-server'
import { RETENTION, SILENT, UNLIMITED, release } from './support/settle'
import { SteppedClock } from './support/stepped-clock'
import { eventually, within } from './support/wait'
import { BareWorker } from './support/bare-worker'

const NO_TICKS = { refreshRate: 3_600_000, keepAlive: 'always' } as const
const NOT_AUTHORIZED = { code: 13, codeName: 'Unauthorized', errmsg: 'not authorized on this database' }
const NO_CHANGE_STREAMS = { code: 40_573, codeName: 'Location40573', errmsg: 'only supported on replica sets' }

const INDEX_NAMES = [
  'cluster_audience',
  'cluster_ended',
  'cluster_removal',
  'cluster_running',
  'cluster_scheduled',
  'cluster_stateless',
  'cluster_waiting',
] as const

/** Those of our names, in alphabetical order; none where there is no collection. */
async function indexesOfOurs({ tasks }: TestDatabase): Promise<string[]> {
  const indexes = await tasks.indexes().catch(() => [])
  return indexes
    .map(({ name }) => String(name))
    .filter(name => name.startsWith('cluster_'))
    .sort()
}

async function indexesAre(database: TestDatabase, names: readonly string[] = INDEX_NAMES): Promise<void> {
  const expected = names.join()
  await eventually(`the indexes are ${expected}`, async () => (await indexesOfOurs(database)).join() === expected)
}

function count(text: string, pattern: RegExp): number {
  return [...text.matchAll(pattern)].length
}

const passAll = () => 'pass' as const

function opensFeed({ name, body }: Command): boolean {
  const { pipeline } = body as { pipeline?: readonly object[] }
  return name === 'aggregate' && Object.hasOwn(pipeline?.[0] ?? {}, '$changeStream')
}

// Indexes.

for (const field of ['state', 'removeAt']) {
  Tinytest.addAsync(
    `faults - an index of the application's own on { ${field}: 1 } does not stop the queue`,
    async test => {
      await withDatabase(async database => {
        await database.tasks.createIndex({ [field]: 1 })
        await withMaster({ database }, async master => {
          test.equal(await master.resultOf({ taskType: 'echo', data: { a: 1 } }), { a: 1 })
          await indexesAre(database)
          test.isTrue(await database.tasks.indexExists(`${field}_1`))
          test.notMatches(master.output, /WARNING|ERROR/)
        })
      })
    },
  )
}

Tinytest.addAsync('faults - an index of another shape that has our name is said once, and tasks run', async test => {
  await withDatabase(async database => {
    await database.tasks.createIndex({ data: 1 }, { name: 'cluster_waiting' })
    await withMaster({ database, options: NO_TICKS }, async master => {
      await master.written(/WARNING\tcannot create the index cluster_waiting of the queue: tasks run all the same/)
      test.equal(await master.resultOf({ taskType: 'echo', data: { a: 1 } }), { a: 1 })
      await indexesAre(database)
      const indexes = await database.tasks.indexes()
      test.equal(indexes.find(({ name }) => name === 'cluster_waiting')?.key, { data: 1 })
    })
  })
})

Tinytest.addAsync('faults - the indexes that an earlier version made are used as they are', async test => {
  await withDatabase(async database => {
    const { tasks } = database
    await tasks.createIndex({ state: 1, 'claim.expiresAt': 1 }, { partialFilterExpression: { state: 'running' } })
    await tasks.createIndex({ removeAt: 1 }, { expireAfterSeconds: 0, sparse: true })
    await withMaster({ database }, async master => {
      test.equal(await master.resultOf({ taskType: 'echo', data: { a: 1 } }), { a: 1 })
      await indexesAre(
        database,
        INDEX_NAMES.filter(name => name !== 'cluster_removal' && name !== 'cluster_running'),
      )
      test.isTrue(await tasks.indexExists(['state_1_claim.expiresAt_1', 'removeAt_1']))
      test.notMatches(master.output, /WARNING|ERROR/)
    })
  })
})

Tinytest.addAsync('faults - a user who may create no indexes is warned once, and tasks run', async test => {
  const refuse = ({ name }: Command) => (/^(create|list)Indexes$/.test(name) ? NOT_AUTHORIZED : 'pass')
  await behindCommandGate(refuse, NO_TICKS, async (master, gate) => {
    const { database } = master
    await master.written(/WARNING\tcannot create .*not authorized/)
    test.equal(await master.resultOf({ taskType: 'echo', data: { a: 1 } }), { a: 1 })
    await database.tasks.drop()
    await eventually('it has tried again', () => gate.sent('createIndexes').length >= 2 * INDEX_NAMES.length)
    test.equal(await master.resultOf({ taskType: 'echo', data: { b: 2 } }), { b: 2 })
    test.equal(count(master.output, /WARNING\tcannot create/g), 1)
    test.notMatches(master.output, /ERROR/)
  })
})

Tinytest.addAsync('faults - no task waits until the indexes are built', async test => {
  const hold = ({ name }: Command) => (name === 'createIndexes' ? 'hold' : 'pass')
  await behindCommandGate(hold, {}, async (master, gate) => {
    await eventually('an index is being built', () => gate.sent('createIndexes').length > 0)
    test.equal(await master.resultOf({ taskType: 'echo', data: { a: 1 } }), { a: 1 })
    test.equal(await indexesOfOurs(master.database), [])
    gate.release()
    await indexesAre(master.database)
  })
})

// A collection that is dropped.

Tinytest.addAsync('faults - the indexes of a collection that was dropped come back at once', async test => {
  await withMaster({ options: NO_TICKS }, async master => {
    const { database } = master
    await indexesAre(database)
    const drops = { collection: () => database.tasks.drop(), database: () => database.db.dropDatabase() }
    for (const [what, drop] of Object.entries(drops)) {
      test.isTrue(await drop())
      await indexesAre(database)
      const removal = (await database.tasks.indexes()).find(({ name }) => name === 'cluster_removal')
      test.equal(removal?.expireAfterSeconds, 0)
      test.equal(await master.resultOf({ taskType: 'echo', data: { a: 1 } }), { a: 1 })
      await database.tasks.insertOne({ ...createTask({ taskType: 'echo', data: {}, _id: `after the ${what}` }) })
      test.equal((await master.ending(`after the ${what}`)).event, 'done')
    }
    test.notMatches(master.output, /WARNING|ERROR/)
  })
})

Tinytest.addAsync('faults - without change streams, too, the indexes of a dropped collection come back', async test => {
  const refuse = (command: Command) => (opensFeed(command) ? NO_CHANGE_STREAMS : 'pass')
  await behindCommandGate(refuse, {}, async ({ database }) => {
    await indexesAre(database)
    test.isTrue(await database.tasks.drop())
    await indexesAre(database)
  })
})

// Change streams.

Tinytest.addAsync(
  'faults - a change stream that is refused is said once, and tried after growing pauses',
  async test => {
    const refuse = (command: Command) => (opensFeed(command) ? NOT_AUTHORIZED : 'pass')
    await behindCommandGate(refuse, {}, async (master, gate) => {
      const attempts = () => gate.commands.filter(opensFeed).map(({ at }) => at)
      await eventually('it was tried three times', () => attempts().length >= 3)
      // A timer may fire late, but never early.
      const [first = NaN, second = NaN, third = NaN] = attempts()
      test.isTrue(second - first >= 990, `tried again after ${String(second - first)} ms`)
      test.isTrue(third - second >= 1990, `tried again after ${String(third - second)} ms`)
      test.equal(await master.resultOf({ taskType: 'echo', data: { a: 1 } }), { a: 1 })
      test.equal(count(master.output, /WARNING\tcannot follow the changes.*not authorized/g), 1)
      gate.release()
      await master.written(/WARNING\tthe changes that other processes make can be followed again/)
      test.equal(count(master.output, /WARNING/g), 2)
    })
  },
)

// A majority that does not answer.

const WRITES = ['insert', 'update', 'delete', 'findAndModify']

Tinytest.addAsync(
  'faults - a majority that does not answer is said within seconds, once (invariant 10)',
  async test => {
    await behindCommandGate(passAll, { leaseDuration: 3000, maxAvailableWorkers: 2 }, async (master, gate) => {
      const { database } = master
      const running = await master.addTask({ taskType: 'hold', data: {} })
      await master.held(running)
      gate.judge = ({ name }) => (WRITES.includes(name) ? 'hold' : 'pass')
      await database.tasks.insertOne({ ...createTask({ taskType: 'echo', data: {}, _id: 'waits' }) })
      await master.written(/ERROR\tno answer from a majority of the database's members for 5 s/)
      await master.call('release', running)
      const before = gate.commands.length
      await eventually('it goes on asking', () => gate.commands.length > before)
      gate.release()
      await master.written(/WARNING\ta majority of the database's members answers again/)
      test.equal((await master.ending('waits')).event, 'done')
      test.equal((await master.ending(running)).event, 'done')
      test.equal(count(master.output, /no answer from a majority/g), 1)
      test.equal(count(master.output, /answers again/g), 1)
    })
  },
)

Tinytest.addAsync(
  'faults - a database that answers nothing at all is said within seconds, once (invariant 10)',
  async test => {
    await behindCommandGate(passAll, {}, async (master, gate) => {
      test.equal(await master.resultOf({ taskType: 'echo', data: { a: 1 } }), { a: 1 })
      gate.judge = () => 'hold'
      await master.written(/ERROR\tno answer from a majority of the database's members for 5 s/)
      gate.release()
      await master.written(/WARNING\ta majority of the database's members answers again/)
      test.equal(await master.resultOf({ taskType: 'echo', data: { b: 2 } }), { b: 2 })
      test.equal(count(master.output, /no answer from a majority/g), 1)
    })
  },
)

function isInsertOfClaim({ body, name }: Command): boolean {
  return name === 'insert' && JSON.stringify(body.documents).includes('"claim"')
}

Tinytest.addAsync('faults - an outcome that a majority does not confirm is said within seconds', async test => {
  const holdOutcomes = (command: Command) => (isDeletion(command) ? 'hold' : 'pass')
  await behindCommandGate(holdOutcomes, NO_TICKS, async (master, gate) => {
    const _id = await master.addTask({ taskType: 'echo', data: {} })
    await master.written(/ERROR\tno answer from a majority of the database's members for 5 s/)
    test.equal(master.endings.length, 0)
    gate.release()
    test.equal((await master.ending(_id)).event, 'done')
    await master.written(/WARNING\ta majority of the database's members answers again/)
  })
})

Tinytest.addAsync('faults - a claimed add that a majority does not confirm is said within seconds', async test => {
  const holdClaims = (command: Command) => (isInsertOfClaim(command) ? 'hold' : 'pass')
  await behindCommandGate(holdClaims, NO_TICKS, async (master, gate) => {
    const events: Promise<string>[] = []
    // Only an idle master claims as it adds.
    await eventually('one is held', () => {
      events.push(master.run({ taskType: 'echo', data: {} }).then(({ event }) => event, String))
      return gate.commands.some(isInsertOfClaim)
    })
    await master.written(/ERROR\tno answer from a majority of the database's members for 5 s/)
    test.isTrue(master.endings.length < events.length)
    gate.release()
    for (const event of await Promise.all(events)) test.equal(event, 'done')
    await master.written(/WARNING\ta majority of the database's members answers again/)
  })
})

// The processes of a dead master.

/** Gives a test the worker of a master that was killed: it is stopped, so that it cannot notice. */
async function withOrphan(database: TestDatabase, test: (worker: number) => Promise<void>): Promise<void> {
  const former = await RemoteMaster.start({ database })
  let worker: number | undefined
  try {
    const _id = await former.addTask({ taskType: 'hold', data: {} })
    worker = await former.held(_id)
    forkedProcesses.add(worker)
    process.kill(worker, 'SIGSTOP')
    former.killAlone()
    await eventually('the master is gone', () => !isAlive(former.pid))
    await test(worker)
  } finally {
    // It holds the output of its master open.
    if (worker !== undefined && isAlive(worker)) process.kill(worker, 'SIGKILL')
    await former.stop()
  }
}

Tinytest.addAsync(
  'faults - what a worker forked, and has the environment of a worker, outlives a restart of the master (invariant 5)',
  async test => {
    await withDatabase(database =>
      withOrphan(database, async worker => {
        const env = Object.fromEntries(
          readProcess(worker, 'environ').map(entry => [entry.split('=', 1)[0], entry.slice(entry.indexOf('=') + 1)]),
        ) as NodeJS.ProcessEnv
        const server = readProcess(worker, 'cmdline').find(argument => argument.endsWith('main.js')) ?? 'none'
        const code = 'setInterval(() => undefined, 1000)'
        const helpers = [
          ['-e', code],
          ['-e', code, server],
          ['-e', code, '--', ...readProcess(worker, 'cmdline').slice(1)],
        ].map(args => spawn(process.execPath, args, { env, stdio: 'ignore' }))
        try {
          for (const { pid = -1 } of helpers) forkedProcesses.add(pid)
          await withMaster({ database }, async master => {
            test.equal(await master.resultOf({ taskType: 'echo', data: { a: 1 }, priority: 9 }), { a: 1 })
            test.isFalse(isAlive(worker), 'the worker is ended')
            test.equal(
              helpers.map(({ pid = -1 }) => isAlive(pid)),
              [true, true, true],
            )
          })
        } finally {
          for (const helper of helpers) helper.kill('SIGKILL')
          await eventually('the helpers are gone', () => !helpers.some(({ pid = -1 }) => isAlive(pid)))
        }
      }),
    )
  },
)

Tinytest.addAsync('faults - a worker of a dead master on another database is left alone (invariant 5)', async test => {
  await withDatabase(database =>
    withOrphan(database, async worker => {
      await withMaster({}, async other => {
        test.equal(await other.resultOf({ taskType: 'echo', data: { a: 1 } }), { a: 1 })
        test.isTrue(isAlive(worker))
      })
      await withMaster({ database }, async () => {
        await eventually('the worker is ended', () => !isAlive(worker))
      })
    }),
  )
})

Tinytest.add(
  'faults - a process is ended only when everything says that it is a worker of ours (invariant 5)',
  test => {
    const owner = currentOwner()
    // Another process has its pid by now.
    const [key, living] = [keyOf({ ...owner, startedAt: 'before' }), keyOf(owner)]
    const app = { main: '/app/main.js', databaseUrl: 'mongodb://app' }
    const commandLine = ['node', '/app/main.js', '--flag']
    const orphan = { commandLine, parent: 1, mark: workerMark(key, commandLine), databaseUrl: app.databaseUrl }
    test.isTrue(isOrphan(orphan, app))
    test.isFalse(isOrphan({ ...orphan, mark: workerMark(living, commandLine) }, app), 'its master lives')
    test.isFalse(isOrphan({ ...orphan, parent: owner.pid }, app), 'it has the parent that forked it')
    test.isFalse(isOrphan({ ...orphan, commandLine: [...commandLine, 'more'] }, app), 'it runs something else')
    test.isFalse(isOrphan({ ...orphan, mark: key }, app), 'its mark says nothing of what it runs')
    test.isFalse(isOrphan(orphan, { ...app, main: '/other/main.js' }), 'it is of another app')
    test.isFalse(isOrphan({ ...orphan, databaseUrl: 'mongodb://other' }, app), 'it is on another database')
  },
)

// Due dates that are moved.

/** 5,000 tasks that come first, and are moved to tomorrow, and one behind them that is due. */
async function addMoved({ tasks }: TestDatabase): Promise<void> {
  const moved = Array.from({ length: 5000 }, () => ({ ...createTask({ taskType: 'echo', data: {}, priority: 5 }) }))
  await tasks.insertMany(moved)
  await tasks.insertOne({ ...createTask({ taskType: 'echo', data: {}, _id: 'due' }) })
  await tasks.updateMany({ priority: 5 }, { $set: { dueDate: new Date(Date.now() + 86_400_000) } })
}

const MOST_COMMANDS = 60

Tinytest.addAsync('faults - 5,000 tasks that were moved to tomorrow do not hold up one that is due', async test => {
  const run = async (master: RemoteMaster, gate: CommandGate) => {
    test.equal((await master.ending('due')).event, 'done')
    const writes = gate.sent('findAndModify', 'update', 'delete').length
    test.isTrue(writes < MOST_COMMANDS, `${String(writes)} writes`)
    // How often the change stream has the queue polled meanwhile depends on the machine, but not on each task.
    const reads = gate.sent('find', 'aggregate').length
    test.isTrue(reads < 500, `${String(reads)} reads`)
    test.equal(await master.database.tasks.countDocuments({ priority: 5, state: 'scheduled' }), 5000)
  }
  await behindCommandGate(passAll, NO_TICKS, run, addMoved)
})

for (const limit of [1, 2]) {
  Tinytest.addAsync(
    `faults - a claim of ${String(limit)} gets past 5,000 moved tasks in a few commands`,
    async test => {
      const gate = await CommandGate.open(process.env.MONGO_URL ?? '')
      const { MongoClient } = MongoInternals.NpmModules.mongodb.module
      await withDatabase(async database => {
        await addMoved(database)
        const client = new MongoClient(gate.urlOf(database.name))
        const tasks = client.db().collection('taskQueue') as unknown as RawCollection
        const options = {
          taskTypes: ['echo'],
          leaseDuration: 15_000,
          listener: SILENT,
          rooms: UNLIMITED,
        }
        const { claims } = await new MongoClaims(tasks, currentOwner(), options).claim('batch', limit)
        await client.close()
        test.equal(
          claims.map(({ task }) => task._id),
          ['due'],
        )
      })
      await gate.close()
      const sent = gate.sent('find', 'findAndModify', 'update').length
      test.isTrue(sent < MOST_COMMANDS, `${String(sent)} commands`)
    },
  )
}

// Timers.

Tinytest.addAsync('faults - a due date beyond the reach of a timer is looked at again and again', async test => {
  const [MONTH_MS, LONGEST_SLEEP_MS] = [30 * 86_400_000, 20]
  const startedAt = performance.now()
  let [looks, isNear] = [0, false]
  const taskNear = () => {
    isNear = true
  }
  await within(
    new Promise<void>(resolve => {
      const taskDue = () => {
        looks++
        if (looks === 3) resolve()
        else timer.add(MONTH_MS, true)
      }
      const timer = new DueTimer({ bootTime: LONGEST_SLEEP_MS }, LONGEST_SLEEP_MS)
      timer.listen({ taskDue, taskNear })
      timer.add(MONTH_MS, true)
      test.isFalse(timer.isNear)
    }),
    'the third look',
  )
  // One that overflows the 32 bits of a timer would fire at once. A timer may fire a millisecond early.
  test.isTrue(performance.now() - startedAt >= 3 * (LONGEST_SLEEP_MS - 1))
  test.isFalse(isNear)
})

/** @returns whether the only task was claimed, or a timer set for it, by what dispatches */
async function isSeenBy(dispatched: MemoryQueue): Promise<boolean> {
  let isSeen = false
  const seen = () => {
    isSeen = true
  }
  const nothing = () => undefined
  const dispatcher = new Dispatcher({
    assigner: { assign: () => dispatched.claim() !== undefined && seen() },
    dueTimer: { stop: nothing },
    feed: { stop: nothing },
    localQueue: { open: nothing, close: nothing, wanted: 0 },
    maintenance: { isPrepared: false, stop: nothing },
    memory: dispatched,
    memoryTimer: { add: seen, stop: nothing },
    options: { inMemoryOnly: true, ...NO_TICKS },
    scaling: { growForMemory: nothing, canGrow: false },
  } as unknown as DispatcherParts)
  dispatcher.start()
  // It dispatches at the end of this turn.
  await Promise.resolve()
  await dispatcher.stop()
  return isSeen
}

const COMES_DUE: Readonly<Record<string, (queue: MemoryQueue, delay: number) => unknown>> = {
  scheduled: (queue, delay) =>
    queue.add([createTask({ taskType: 'echo', data: {}, dueDate: new Date(Date.now() + delay) })]),
  'tried again': async (queue, delay) => {
    queue.add([createTask({ taskType: 'echo', data: {} })])
    const claim = queue.claim()
    if (claim !== undefined) await release(queue, claim, { hasStarted: true, delay })
  },
}

for (const [how, add] of Object.entries(COMES_DUE)) {
  Tinytest.addAsync(`faults - in-memory: a task that is ${how} is seen, whenever it comes due`, async test => {
    for (let readings = 0; readings < 40; readings++) {
      const clock = new SteppedClock()
      try {
        const queue = new MemoryQueue('stepped', RETENTION)
        queue.open(() => undefined, UNLIMITED)
        await add(queue, SteppedClock.readings(readings))
        test.isTrue(await isSeenBy(queue), `due at reading ${String(readings)} of the clock`)
      } finally {
        clock.restore()
      }
    }
  })
}

Tinytest.addAsync(
  'faults - in-memory: a task that is tried again does not wait for a clock that was set back',
  async test => {
    await withMaster({}, async master => {
      const retried = { taskType: 'failUntil', data: { attempt: 2 }, retries: 1, backoff: 1000 }
      const _id = await master.addTask({ ...retried, inMemory: true })
      await master.notice('retry', ({ task }) => task._id === _id)
      await master.call('setClock', -3_600_000)
      test.equal((await master.ending(_id)).event, 'done')
    })
  },
)

// A machine that slept.

Tinytest.addAsync('faults - a job that was sent before the machine slept is not started after it', async test => {
  await withDatabase(async database => {
    const worker = await BareWorker.start(database)
    try {
      const run = (token: string, offset: number): Promise<ToMaster['kind']> => {
        const job = jobToWire(createTask({ taskType: 'echo', data: {} }))
        worker.send({ kind: 'run', token, job, attempt: 1, clockOffset: offset })
        return worker.firstOf(token)
      }
      // While a machine sleeps, the time of day goes on, and the monotonic clock does not.
      test.equal(await run('before it slept', clockOffset() - 60_000), 'expired')
      test.equal(await run('before the clock was set back', clockOffset() + 60_000), 'expired')
      test.equal(await run('now', clockOffset()), 'started')
    } finally {
      await worker.stop()
    }
  })
})

Tinytest.addAsync('faults - a job is sent with what tells its worker whether the machine slept', async test => {
  const echo = "process.on('message', message => process.send(message))"
  const child = spawn(process.execPath, ['-e', echo], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  forkedProcesses.add(child.pid ?? -1)
  const sent = new Promise<unknown>(resolve => child.once('message', resolve))
  const ended = new Promise<void>(resolve => {
    // What comes back is no message of a worker.
    const listener: Partial<WorkerListener> = { faulty: () => undefined, gone: () => resolve() }
    const worker = new Worker(child, 0, listener as WorkerListener)
    const task = createTask({ taskType: 'echo', data: {} })
    const claim = { task, token: 'any', inMemory: true, isTakenOver: false, isCancelRequested: false }
    worker.run(claim, 1000, { startBefore: undefined, timeout: undefined, grace: 0 })
  })
  try {
    const [message] = unwrap(await within(sent, 'the message'), isToWorker)
    const offset = message?.kind === 'run' ? message.clockOffset : undefined
    test.isTrue(offset !== undefined && !hasJumped(offset, clockOffset()))
  } finally {
    child.kill('SIGKILL')
    await ended
  }
})

Tinytest.addAsync(
  'faults - a job whose worker is being killed for another is not judged by its timeout',
  async test => {
    // It starts every job, and outlives its kill until it is killed for good.
    const start =
      "process.on('message', raw => { for (const run of raw['nschwarz:cluster']) if (run.kind === 'run') process.send({ 'nschwarz:cluster': [{ kind: 'started', token: run.token }] }) })"
    const child = spawn(process.execPath, ['-e', start], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
    forkedProcesses.add(child.pid ?? -1)
    const kill = child.kill.bind(child)
    child.kill = () => true
    const end = await new Promise<ExitReport>(resolve => {
      let started = 0
      const listener: Partial<WorkerListener> = {
        jobStarted: () => {
          if (++started < 2) return
          worker.killForJob()
          // Its neighbour's timeout comes while the process is still there.
          setTimeout(() => kill('SIGKILL'), 300)
        },
        gone: resolve,
      }
      const worker: Worker = new Worker(child, 0, listener as WorkerListener)
      for (const token of ['first', 'second']) {
        const task = createTask({ taskType: 'echo', data: {} })
        const claim = { task, token, inMemory: true, isTakenOver: false, isCancelRequested: false }
        worker.run(claim, 10_000, { startBefore: undefined, timeout: 100, grace: 10_000 })
      }
    })
    test.equal(
      end.jobs.map(({ abortReason }) => abortReason),
      [undefined, undefined],
    )
    test.equal(
      end.jobs.map(job => deathOf(job, end).blame),
      ['none', 'none'],
    )
  },
)

Tinytest.add('faults - a lease counts as over after the machine slept, until it is renewed', test => {
  let offset = 1_000_000
  const begin = () => new Lease(60_000, () => offset)
  const before = begin()
  offset += 900
  test.isFalse(before.isOver, 'the clocks drift apart a little')
  offset += 200
  test.isTrue(before.isOver)
  test.isFalse(begin().isOver)
  const renewed = begin()
  offset -= 60_000
  test.isTrue(renewed.isOver, 'somebody set the clock back')
})

Tinytest.addAsync(
  'faults - where the time of day is replaced in the master only, jobs start all the same',
  async test => {
    await withMaster({}, async master => {
      await master.call('setClock', -600_000)
      for (const inMemory of [false, true]) {
        test.equal(await master.resultOf({ taskType: 'echo', data: { a: 1 }, dueDate: new Date(0), inMemory }), {
          a: 1,
        })
      }
    })
  },
)

import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Random } from 'meteor/random'
import { Tinytest } from 'meteor/tinytest'
import type { NewTask } from 'meteor/nschwarz:cluster'
import { createLog } from '../common/log'
import { createTask } from '../common/task'
import { HeldClaim } from '../server/master/claims/held-claim'
import { LocalQueue, type LocalQueueParts } from '../server/master/dispatch/local-queue'
import { type JobInFront, Prefetch } from '../server/pool/prefetch'
import { Outbox } from '../server/master/claims/outbox'
import type { Claim, SettleRequest } from '../server/queue/claim'
import type { TestDatabase } from './support/database'
import { RemoteMaster, sharedMaster, withDatabase, withMaster } from './support/remote-master'
import { DONE, UNLIMITED, requestFor } from './support/settle'
import { eventually } from './support/wait'

const NO_TICKS = { refreshRate: 3_600_000, keepAlive: 'always' } as const

function echoes(count: number, given: Partial<NewTask> = {}): NewTask[] {
  return Array.from({ length: count }, (_task, number) => ({ taskType: 'echo', data: { number }, ...given }))
}

/** Until it is known that jobs are short, none is sent ahead. */
async function warmUp(master: RemoteMaster, tasks: readonly NewTask[] = echoes(200)): Promise<void> {
  for (const _id of await master.call('addTasks', tasks)) await master.ending(_id)
}

function blocks(count: number): NewTask[] {
  return Array<NewTask>(count).fill({ taskType: 'block', data: { milliseconds: 40 } })
}

for (const inMemory of [false, true]) {
  const kind = inMemory ? 'in-memory' : 'persistent'
  Tinytest.addAsync(`batches - ${kind}: many tasks are added at once, and each is done once`, async test => {
    const master = await sharedMaster()
    const ids = await master.call('addTasks', echoes(300, { inMemory }))
    test.equal(new Set(ids).size, 300)
    for (const [number, _id] of ids.entries()) test.equal((await master.ending(_id)).value, { number })
    const ended = master.endings.filter(({ task }) => ids.includes(task._id))
    test.equal(ended.length, 300)
    test.isTrue(ended.every(({ task }) => task.attempts === 1))
  })
}

Tinytest.addAsync(
  'batches - of many tasks, those whose _id is taken are named, and all others are added',
  async test => {
    const master = await sharedMaster()
    await master.addTask({ taskType: 'echo', data: {}, _id: 'taken', dueDate: new Date(Date.now() + 3_600_000) })
    try {
      await master.call('addTasks', [
        ...echoes(1, { _id: 'before' }),
        ...echoes(1, { _id: 'taken' }),
        ...echoes(1, { _id: 'after' }),
      ])
      test.fail('a second task with this _id was added')
    } catch (error) {
      const { name, taskIds } = error as Error & { taskIds: unknown }
      test.equal([name, taskIds], ['DuplicateTaskError', ['taken']])
    }
    for (const _id of ['before', 'after']) test.equal((await master.ending(_id)).event, 'done')
    test.isTrue(await master.call('cancel', 'taken'))
  },
)

Tinytest.addAsync('batches - a bad one among many is named, and nothing is added', async test => {
  const master = await sharedMaster()
  const refused = async (tasks: unknown, message: RegExp) => {
    try {
      await master.call('addTasks', tasks as NewTask[])
      test.fail('it was accepted')
    } catch (error) {
      test.matches((error as Error).message, message)
    }
  }
  const taskType = 'never added'
  await refused(
    [
      { taskType, data: {} },
      { taskType, data: 7 },
    ],
    /addTasks\[1\]\.data is 7/,
  )
  await refused(
    [
      { taskType, data: {}, _id: 'twice' },
      { taskType, data: {}, _id: 'twice' },
    ],
    /addTasks\[1\]\._id is "twice"/,
  )
  await refused({ taskType, data: {} }, /addTasks is .*an array of new tasks/)
  test.equal(await master.database.tasks.countDocuments({ taskType }), 0)
  test.equal(await master.call('addTasks', []), [])
})

Tinytest.addAsync('batches - workerConcurrency is how many jobs a worker runs at once', async test => {
  await withMaster({ options: { workerConcurrency: 3 } }, async master => {
    const ids = await master.call('addTasks', Array<NewTask>(4).fill({ taskType: 'hold', data: {} }))
    const first = ids.slice(0, 3)
    const pids = await Promise.all(first.map(_id => master.held(_id)))
    test.equal(new Set(pids).size, 1)
    test.equal((await master.find(ids[3] ?? '', false))?.state, 'waiting', 'there is no room for it')
    for (const _id of ids) {
      await master.held(_id)
      await master.call('release', _id)
      test.equal((await master.ending(_id)).event, 'done')
    }
  })
})

Tinytest.addAsync(
  'batches - when one of several jobs has killed their worker, each runs alone before it is blamed (invariant 9)',
  async test => {
    await withMaster({ options: { workerConcurrency: 2, maxCrashes: 1 } }, async master => {
      const ids = await master.call('addTasks', Array<NewTask>(2).fill({ taskType: 'hold', data: {} }))
      const [pid] = await Promise.all(ids.map(_id => master.held(_id)))
      process.kill(pid ?? 0, 'SIGKILL')
      const alone = await Promise.race(ids.map(async _id => (await master.held(_id, 2), _id)))
      const other = ids.find(_id => _id !== alone) ?? ''
      // It has room, but the other must not start there.
      const behind = await master.addTask({ taskType: 'hold', data: {} })
      await master.call('release', alone)
      test.equal((await master.ending(alone)).event, 'done')
      const killed = await master.held(other, 2)
      test.isUndefined(master.notices('held').find(({ taskId }) => taskId === behind))
      process.kill(killed, 'SIGKILL')
      const { event, value } = await master.ending(other)
      test.equal([event, (value as Error).name], ['error', 'WorkerCrashError'])
      await master.held(behind)
      await master.call('release', behind)
    })
  },
)

Tinytest.addAsync(
  'batches - a worker that is kept free for a job that is to run alone gets others when that is cancelled',
  async test => {
    await withMaster(
      { options: { keepAlive: 'always', workerConcurrency: 2, maxAvailableWorkers: 1 } },
      async master => {
        const ids = await master.call('addTasks', Array<NewTask>(2).fill({ taskType: 'hold', data: {} }))
        const [pid] = await Promise.all(ids.map(_id => master.held(_id)))
        process.kill(pid ?? 0, 'SIGKILL')
        const alone = await Promise.race(ids.map(async _id => (await master.held(_id, 2), _id)))
        const other = ids.find(_id => _id !== alone) ?? ''
        // What is in memory goes first: the other waits for this one to end.
        const inMemory = await master.addTask({ taskType: 'hold', data: {}, inMemory: true })
        await master.call('release', alone)
        await master.held(inMemory)
        await eventually('the other is claimed', () => master.isRunning(other))
        test.isTrue(await master.call('cancel', other))
        await master.call('release', inMemory)
        test.equal(await master.resultOf({ taskType: 'echo', data: { text: 'next' } }), { text: 'next' })
      },
    )
  },
)

Tinytest.addAsync('batches - a job that is to run alone runs on whichever worker has no other first', async test => {
  await withMaster({ options: { ...NO_TICKS, workerConcurrency: 2, maxAvailableWorkers: 2 } }, async master => {
    const ids = await master.call('addTasks', Array<NewTask>(3).fill({ taskType: 'hold', data: {} }))
    const pids = await Promise.all(ids.map(_id => master.held(_id)))
    const isShared = (pid: number) => pids.filter(other => other === pid).length === 2
    const shared = ids.filter((_id, index) => isShared(pids[index] ?? 0))
    const suspect = { ...createTask({ taskType: 'echo', data: {} }), isSuspect: true }
    await master.database.tasks.insertOne(suspect)
    await eventually('it is claimed', () => master.isRunning(suspect._id))
    for (const _id of shared) await master.call('release', _id)
    test.equal((await master.ending(suspect._id)).event, 'done')
    for (const _id of ids.filter(id => !shared.includes(id))) await master.call('release', _id)
  })
})

for (const taskType of ['hold', 'blockUntil'] as const) {
  const how = taskType === 'hold' ? 'waits' : 'blocks its worker'
  Tinytest.addAsync(`batches - jobs that were sent ahead of one that ${how} run on another worker`, async test => {
    const options = { ...NO_TICKS, maxAvailableWorkers: 2 }
    await withMaster({ options }, async master => {
      await warmUp(master)
      const long = longTask(master, taskType)
      const ids = await master.call('addTasks', [long.task, ...echoes(60)])
      for (const _id of ids.slice(1)) test.equal((await master.ending(_id)).task.attempts, 1)
      test.isUndefined(master.endings.find(({ task }) => task._id === ids[0]))
      await long.end(ids[0] ?? '')
      test.equal((await master.ending(ids[0] ?? '')).event, 'done')
    })
  })
}

for (const inMemory of [false, true]) {
  const kind = inMemory ? 'an in-memory task of a lower priority' : 'a persistent task'
  Tinytest.addAsync(
    `batches - ${kind} that is claimed while its worker is busy is overtaken all the same`,
    async test => {
      await withMaster({ options: { ...NO_TICKS, maxAvailableWorkers: 1 } }, async master => {
        await warmUp(master, blocks(10))
        const tasks: NewTask[] = [{ taskType: 'hold', data: {}, priority: 9 }, ...blocks(10)]
        const added = tasks.map(task => ({ ...task, inMemory }))
        const [held = '', ...ahead] = await master.call('addTasks', added)
        await master.held(held)
        const urgent = await master.addTask({ taskType: 'echo', data: {}, inMemory: true, priority: 2 })
        await master.call('release', held)
        const started = await master.startedUntil(urgent)
        test.equal(started[started.indexOf(held) + 1], urgent)
        for (const _id of ahead) test.equal((await master.ending(_id)).task.attempts, 1)
      })
    },
  )
}

Tinytest.addAsync(
  'batches - a task of a higher priority is claimed though the next one is claimed already',
  async test => {
    await withMaster({ options: { ...NO_TICKS, maxAvailableWorkers: 1 } }, async master => {
      await warmUp(master, blocks(10))
      const hold: NewTask = { taskType: 'hold', data: {}, priority: 8 }
      const [held = '', ahead = ''] = await master.call('addTasks', [hold, ...blocks(1)])
      await master.held(held)
      await eventually('the next one is claimed', () => master.isRunning(ahead))
      // Also when the master has not heard yet what it has claimed.
      const urgent = await master.addTask({ taskType: 'echo', data: {}, priority: 9 })
      await eventually('the urgent one is claimed', () => master.isRunning(urgent))
      await master.call('release', held)
      test.equal((await master.ending(ahead)).task.attempts, 1)
    })
  },
)

interface FakeDatabase {
  waiting: number
  /** What other masters claim of each fetch. */
  taken?: number
}

/** A local queue for 8 idle slots, beside which 100 short jobs are worth buffering. */
function localQueueFor(database: FakeDatabase) {
  const asked: number[] = []
  const feed = { isOpen: true, start: () => (feed.isOpen = true), stop: () => (feed.isOpen = false) }
  const scheduler = { idleSlots: 8, bufferTarget: 100, readySlots: 8, enough: 100, recordSize: () => undefined }
  const outcomes = { release: () => undefined, withdraw: () => undefined }
  const claims = {
    fetch: (limit: number) => {
      asked.push(limit)
      const count = Math.min(limit, database.waiting)
      database.waiting -= count
      const claims = Array.from({ length: count - (database.taken ?? 0) }, () => heldClaim())
      return Promise.resolve({ claims, mayBeMore: count === limit })
    },
  }
  const parts = { admission: UNLIMITED, claims, feed, memory: { countDue: () => 0 }, pool: { scheduler }, outcomes }
  const queue = new LocalQueue(parts as unknown as LocalQueueParts)
  /** Fetches as long as more is wanted; what it gets is sent at once. */
  const drain = async () => {
    while (queue.wanted > 0 && (await queue.fetch())) while (queue.next());
    while (queue.next());
  }
  return { queue, asked, feed, scheduler, outcomes, drain }
}

function heldClaim(priority = 0): HeldClaim {
  const task = createTask({ taskType: 'echo', data: {}, priority })
  return new HeldClaim(
    { task, token: Random.id(), inMemory: false, isTakenOver: false, isCancelRequested: false },
    undefined,
  )
}

Tinytest.addAsync(
  'batches - a master claims what was announced, and more than can start at once only when more may wait',
  async test => {
    const database = { waiting: 0 }
    const { asked, drain, feed, queue } = localQueueFor(database)
    test.equal(queue.wanted, 0, 'closed')
    queue.open()
    test.isFalse(await queue.fetch(), 'it did not find more')
    test.isTrue(queue.isDry)
    test.equal(queue.wanted, 0, 'dry')

    const asksFor = async (waiting: number) => {
      asked.length = 0
      database.waiting = waiting
      await drain()
      test.isTrue(queue.isDry, `${String(waiting)} wait`)
      return asked
    }
    queue.announce(0)
    test.equal(await asksFor(1), [1, 100])
    for (let count = 0; count < 3; count++) queue.announce(0)
    test.equal(await asksFor(2), [3])
    queue.announce(0)
    test.equal(await asksFor(250), [1, 100, 100, 100], 'a hint does not say all')
    queue.announceUnknown(false)
    test.equal(await asksFor(7), [8])
    test.isTrue(feed.isOpen, 'it follows the changes again')

    feed.isOpen = false
    test.equal(queue.wanted, 8, 'nobody announces what others add')
  },
)

Tinytest.addAsync('batches - during a backlog a master does not follow what others add', async test => {
  const { feed, queue } = localQueueFor({ waiting: 1000 })
  queue.open()
  await queue.fetch()
  test.isTrue(feed.isOpen, 'one full claim is no backlog')
  while (queue.next());
  await queue.fetch()
  test.isFalse(feed.isOpen)
})

Tinytest.addAsync('batches - a master of whose claim others took a part asks for more', async test => {
  const database = { waiting: 100, taken: 5 }
  const { queue } = localQueueFor(database)
  queue.open()
  test.isTrue(await queue.fetch())
  test.isTrue(queue.size < 8 && queue.wanted > 0)
})

Tinytest.add('batches - a suspect that waits for a worker of its own takes no idle slot', test => {
  const { queue } = localQueueFor({ waiting: 0 })
  queue.open()
  queue.setAside(heldClaim())
  test.equal([queue.size, queue.wanted], [1, 8])
})

Tinytest.add('batches - a buffered claim that is dropped leaves no priority behind', test => {
  const { queue, scheduler } = localQueueFor({ waiting: 0 })
  Object.assign(scheduler, { idleSlots: 0 })
  queue.open()
  const held = heldClaim(0)
  queue.accept(held)
  queue.drop(held)
  queue.announce(1)
  test.equal(queue.wanted, 0)
})

Tinytest.addAsync(
  'batches - what urgent tasks push back is released once, and not claimed again and again',
  async test => {
    const { asked, feed, queue, scheduler, outcomes } = localQueueFor({ waiting: 1000 })
    // Jobs so long that no more are buffered than the workers run at once.
    Object.assign(scheduler, { idleSlots: 4, bufferTarget: 3, readySlots: 4, enough: 4 })
    const released: HeldClaim[] = []
    Object.assign(outcomes, { release: (held: HeldClaim) => released.push(held) })
    queue.open()
    await queue.fetch()
    scheduler.idleSlots = 0
    // The change feed announces what is released, one by one, and does not know its priority.
    let events = 2
    queue.announceUnknown(true)
    while (queue.wanted > 0 && asked.length < 20) {
      const fetching = queue.fetch()
      if (events > 0) queue.announceUnknown(true)
      await fetching
      events = Math.max(0, events - 1) + (feed.isOpen ? released.length : 0)
      for (const { claim } of released.splice(0)) queue.announce(claim.task.priority)
    }
    test.isTrue(asked.length < 20, `it asked for ${String(asked)}`)
  },
)

Tinytest.addAsync('batches - what overtakes is claimed no faster than it can run', async test => {
  await withMaster({ options: { ...NO_TICKS, maxAvailableWorkers: 1 } }, async master => {
    await warmUp(master, blocks(10))
    const hold: NewTask = { taskType: 'hold', data: {}, priority: 8 }
    const [held = ''] = await master.call('addTasks', [hold, ...blocks(20)])
    await master.held(held)
    const urgent = await Promise.all(blocks(100).map(task => master.addTask({ ...task, priority: 2 })))
    // Some 12 last for the half of a second that claimed tasks are meant to.
    const running = () => master.database.tasks.countDocuments({ state: 'running' })
    await eventually('most of them are left to others', async () => (await running()) <= 30)
    await master.call('release', held)
    for (const _id of urgent) test.equal((await master.ending(_id)).task.attempts, 1)
  })
})

/** A task that comes first, and lasts until it is told to end. */
function longTask(master: RemoteMaster, taskType: string): { task: NewTask; end: (_id: string) => Promise<unknown> } {
  const file = path.join(tmpdir(), `cluster-test-${Random.id()}`)
  return {
    task: { taskType, data: { file }, priority: 9 },
    end: async _id => {
      if (taskType === 'hold') return master.call('release', _id)
      writeFileSync(file, '')
      await master.ending(_id)
      rmSync(file)
    },
  }
}

Tinytest.addAsync(
  'batches - what a master holds for workers that are busy for long goes to another master',
  async test => {
    await withDatabase(async database => {
      const options = { keepAlive: 'always', maxAvailableWorkers: 1 } as const
      await withMaster({ options, database }, async master => {
        await warmUp(master)
        const long: NewTask = { taskType: 'hold', data: {}, priority: 9 }
        const ids = await master.call('addTasks', [long, ...echoes(150)])
        const [held = '', ...others] = ids
        await master.held(held)
        await withMaster({ options, database }, async other => {
          for (const _id of others)
            await other.until(`the end of ${_id}`, () => ended(master, _id) || ended(other, _id))
        })
        test.isFalse(ended(master, held))
        await master.call('release', held)
        test.equal((await master.ending(held)).event, 'done')
      })
    })
  },
)

function ended(master: RemoteMaster, _id: string): boolean {
  return master.endings.some(({ task }) => task._id === _id)
}

Tinytest.addAsync('batches - a task that another process adds or makes due waits for no tick', async test => {
  await withDatabase(async database => {
    const options = { ...NO_TICKS, maxAvailableWorkers: 1 }
    await withMaster({ options, database }, async master => {
      await master.resultOf({ taskType: 'echo', data: {} })
      const dispatchesNothing = { ...options, autoInitialize: false, keepAlive: null }
      const other = await RemoteMaster.start({ options: dispatchesNothing, database })
      try {
        const added = await other.addTask({ taskType: 'echo', data: { a: 1 } })
        test.equal((await master.ending(added)).value, { a: 1 })
        const soon = await other.addTask({ taskType: 'echo', data: { b: 2 }, dueDate: new Date(Date.now() + 300) })
        test.equal((await master.ending(soon)).value, { b: 2 })
        const late = await other.addTask({ taskType: 'echo', data: {}, dueDate: new Date(Date.now() + 3_600_000) })
        await database.tasks.updateOne({ _id: late }, { $set: { dueDate: new Date() } })
        test.equal((await master.ending(late)).event, 'done')
        const held = await other.addTask({ taskType: 'holdUntilAborted', data: {} })
        await master.held(held)
        test.isTrue(await other.call('cancel', held))
        await master.until('the event', () => master.notices('cancelled').some(({ task }) => task._id === held))
      } finally {
        await other.stop()
      }
    })
  })
})

Tinytest.addAsync('batches - a task that is due before it is announced waits for no tick', async test => {
  await withMaster({ options: { ...NO_TICKS, maxAvailableWorkers: 1 } }, async master => {
    await master.resultOf({ taskType: 'echo', data: {} })
    await withMaster({ database: master.database, options: { withoutCluster: true } }, async other => {
      const blocked = master.call('block', 1000)
      const added = await other.addTask({ taskType: 'echo', data: {}, dueDate: new Date(Date.now() + 100) })
      await blocked
      test.equal((await master.ending(added)).event, 'done')
    })
    for (const delay of [1, 2, 3, 4]) {
      // The write takes about as long.
      const dueDate = new Date(Date.now() + delay)
      test.equal((await master.run({ taskType: 'echo', data: {}, dueDate })).event, 'done')
    }
  })
})

/** The names of what the database does with the queue meanwhile, or with one task, in its order. */
async function operationsDuring(
  { db, name }: TestDatabase,
  run: () => Promise<unknown>,
  taskId?: string,
): Promise<string[]> {
  await db.command({ profile: 2 })
  await run()
  await db.command({ profile: 0 })
  const onTasks = { ns: `${name}.taskQueue`, op: { $ne: 'getmore' } }
  const operations = await db.collection('system.profile').find(onTasks).sort({ ts: 1 }).toArray()
  await db.collection('system.profile').drop()
  return operations
    .filter(({ command }) => taskId === undefined || JSON.stringify(command).includes(`"${taskId}"`))
    .map(({ op, command }) => (op === 'command' ? String(Object.keys(command as object)[0]) : (op as string)))
}

for (const hasBuffered of [true, false]) {
  Tinytest.addAsync(
    `batches - outcomes are written ${hasBuffered ? 'together while jobs wait for a worker' : 'at once when none does'}`,
    async test => {
      const writes: number[] = []
      const settleAll = (requests: readonly SettleRequest[]) => {
        writes.push(requests.length)
        return Promise.resolve(requests.map(() => 'settled' as const))
      }
      const store = { settleAll, settleOne: () => Promise.reject(new Error('not called')) }
      const outbox = new Outbox(store, { hasBuffered }, createLog('error'))
      const { claim } = heldClaim()
      const write = () =>
        new Promise<unknown>(resolve => {
          outbox.write(requestFor(claim, DONE), resolve)
        })
      await write()
      const second = write()
      await nextTurn()
      await Promise.all([second, write()])
      test.equal(writes, hasBuffered ? [1, 2] : [1, 1, 1])
    },
  )
}

/** Until an added task is stored as it is claimed, in one write: after a job, a master first asks whether more wait. */
async function untilIdle(master: RemoteMaster): Promise<void> {
  const data = { text: '$not.a.path', nested: { '': [1] } }
  await eventually('a task is stored as it is claimed', async () => {
    const operations = await operationsDuring(master.database, () => master.resultOf({ taskType: 'echo', data }))
    const writes = operations.filter(name => ['insert', 'update', 'findAndModify', 'remove'].includes(name))
    return writes.join() === ['insert', 'findAndModify'].join()
  })
}

Tinytest.addAsync(
  'batches - a task that is added to an idle master is stored as it is claimed, in one write',
  async () => {
    await withMaster({ options: { ...NO_TICKS, logs: 'error' } }, async master => {
      await master.resultOf({ taskType: 'echo', data: {} })
      await untilIdle(master)
    })
  },
)

Tinytest.addAsync(
  'batches - a task that is added in a worker of an idle master is stored in one write, too',
  async test => {
    await withMaster({ options: { ...NO_TICKS, logs: 'error', maxAvailableWorkers: 2 } }, async master => {
      const { database } = master
      const job = await master.addTask({ taskType: 'holdAddHold', data: { taskType: 'echo', data: {}, _id: 'added' } })
      await master.held(job)
      await master.workersAre(2)
      await untilIdle(master)
      const whatRuns = async () => {
        await master.call('release', job)
        await master.ending('added')
      }
      // The lease of its parent may be renewed between them.
      test.equal(await operationsDuring(database, whatRuns, 'added'), ['insert', 'findAndModify'])
      await master.held(job, 2)
      await master.call('release', job)
    })
  },
)

for (const state of ['idle', 'busy'] as const) {
  Tinytest.addAsync(
    `batches - a task that is added in a worker of a master that is ${state}, under a taken _id, is refused there`,
    async test => {
      await withMaster({ options: { ...NO_TICKS, maxAvailableWorkers: state === 'idle' ? 2 : 1 } }, async master => {
        await master.workersAre(state === 'idle' ? 2 : 1)
        await master.addTask({ taskType: 'echo', data: {}, _id: 'taken', dueDate: new Date(Date.now() + 3_600_000) })
        const { value } = await master.run({ taskType: 'add', data: { taskType: 'echo', data: {}, _id: 'taken' } })
        const { name, taskIds } = value as Error & { taskIds?: unknown }
        test.equal([name, taskIds], ['DuplicateTaskError', ['taken']])
      })
    },
  )
}

Tinytest.addAsync('batches - of an in-memory task the database hears nothing', async () => {
  await withMaster({ options: { ...NO_TICKS, logs: 'error' } }, async master => {
    // The first polls of the maintenance may fall into a round, not into each.
    await eventually('nothing is heard of five tasks', async () => {
      const operations = await operationsDuring(master.database, async () => {
        for (let index = 0; index < 5; index++) await master.resultOf({ taskType: 'echo', data: {}, inMemory: true })
      })
      return operations.length === 0
    })
  })
})

/** So many jobs that a worker has. */
function jobs(count: number, taskType: string, runningFor = 0): JobInFront[] {
  return Array<JobInFront>(count).fill({ claim: { task: { taskType } } as Claim, runningFor })
}

Tinytest.add(
  'batches - how many jobs a worker gets ahead follows how long those in front take, by their types',
  test => {
    const prefetch = new Prefetch()
    /** How many short ones it gets, behind these. */
    const gets = (front: JobInFront[], slots = 1, mostJobs = Infinity) => {
      const ahead = prefetch.aheadIfLow({ jobs: front, load: front.length }, slots, mostJobs)
      let count = 0
      for (; ahead !== undefined && !ahead.isFull; count++) for (const job of jobs(1, 'short')) ahead.add(job)
      return count
    }
    test.equal(gets(jobs(1, 'short')), 0, 'nothing is known')
    prefetch.record('short', 0.125)
    test.equal([gets([]), gets(jobs(8, 'short')), gets(jobs(16, 'short'))], [32, 24, 0], '4 ms, once half is gone')
    test.equal(gets([], 2), 64)
    test.equal(gets([...jobs(8, 'short'), ...jobs(1, 'unknown')]), 0)
    test.equal(gets([...jobs(8, 'short'), ...jobs(1, 'short', 3)]), 0, 'one runs for longer than usual')
    test.equal(gets(jobs(2, 'short'), 1, 9), 7, 'no more than it may have')
    prefetch.record('long', 100)
    test.equal(gets(jobs(8, 'short')), 24, 'another type does not matter')
    test.equal(gets(jobs(1, 'long'), 8), 0, 'nothing is sent ahead behind one of 100 ms')
    prefetch.record('short', 100)
    test.equal(gets(jobs(1, 'short')), 0, 'a longer one counts at once')
    for (let i = 0; i < 200; i++) prefetch.record('short', 0.01)
    test.equal(gets(jobs(1, 'short')), 64, 'no more than 64, however short they are')
    prefetch.recordSize(2 ** 20)
    test.equal(gets(jobs(1, 'short')), 8, 'a larger one counts at once')
  },
)

Tinytest.add('batches - how many tasks a master holds follows how long all jobs take, and how large they are', test => {
  const prefetch = new Prefetch()
  const heldAt = (duration: number) => {
    prefetch.record('TEST', duration)
    return prefetch.bufferTarget(2)
  }
  test.equal(prefetch.bufferTarget(2), 0, 'nothing is known')
  test.equal([heldAt(0.1), heldAt(100), heldAt(1000)], [1000, 10, 1])
  for (let i = 0; i < 200; i++) prefetch.record('TEST', 0.9)
  test.equal(prefetch.bufferTarget(2), 1000)
  prefetch.recordSize(2 ** 20)
  test.equal(prefetch.bufferTarget(2), 64)
})

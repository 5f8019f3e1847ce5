/** Faults of the first version in how masters share a queue, keep their leases and order their work. */
import assert from 'node:assert/strict'
import type { NewTask } from 'meteor/nschwarz:cluster'
import { Tinytest } from 'meteor/tinytest'
import { WORKER_VARIABLE } from '../common/pipe/protocol'
import type { TestDatabase } from './support/database'
import { QUEUES, runsOf } from './support/queues'
import { type RemoteMaster, withDatabase, withMaster } from './support/remote-master'
import { comesTrue, eventually } from './support/wait'

const NO_TICKS = { refreshRate: 3_600_000, keepAlive: 'always', maxAvailableWorkers: 1 } as const

interface StoredClaim {
  readonly token?: string
  readonly expiresAt?: unknown
}

async function claimOf(database: TestDatabase, _id: string): Promise<StoredClaim | undefined> {
  return (await database.tasks.findOne({ _id }))?.claim as StoredClaim | undefined
}

// Row 10: a document whose state is none.

const STATES = ['waitng', 'Waiting', '', 5, true, {}, ['waitng'], new Date(0)]

/** As 2.x wrote it, or somebody by hand. */
function documentOf(_id: string, changed: object): { _id: string } {
  const old = new Date(1)
  return { _id, ...{ taskType: 'echo', data: { _id }, priority: 1, createdAt: old, dueDate: old }, ...changed }
}

Tinytest.addAsync(
  'faults - persistent: a document with a state that does not exist runs, like one without a state',
  async () => {
    await withDatabase(async database => {
      const documents = STATES.map((state, index) => documentOf(`odd ${String(index)}`, { state, sequence: 0 }))
      await database.tasks.insertMany(documents)
      await withMaster({ database }, async master => {
        for (const { _id } of documents) assert.deepEqual((await master.ending(_id)).value, { _id })
        await database.tasks.insertOne(documentOf('later', { state: 'waitng' }))
        assert.deepEqual((await master.ending('later')).value, { _id: 'later' })
      })
    })
  },
)

Tinytest.addAsync(
  'faults - persistent: documents of 2.x run beside those that cannot, those marked as running at the start only',
  async () => {
    await withDatabase(async database => {
      const of2x = {
        waiting: { onGoing: false },
        ongoing: { onGoing: true },
        'without onGoing': {},
        'with a text as priority': { onGoing: false, priority: 'high' },
        'with a number as dueDate': { onGoing: false, dueDate: 5 },
        'without data': { onGoing: false, data: null },
      }
      const documents = Object.entries(of2x).map(([_id, changed]) => documentOf(_id, changed))
      await database.tasks.insertMany([...documents, documentOf('unfit', { retries: 'many' })])
      await withMaster({ database }, async master => {
        for (const { _id } of documents) assert.equal((await master.ending(_id)).event, 'done')
        assert.equal((await master.ending('unfit')).task.state, 'failed')
        // One that a master of 2.x, which still lives, has just started.
        await database.tasks.insertMany([documentOf('started', { onGoing: true }), documentOf('added', {})])
        assert.deepEqual((await master.ending('added')).value, { _id: 'added' })
        assert.equal((await database.tasks.findOne({ _id: 'started' }))?.state, undefined)
      })
    })
  },
)

// Row 11: two masters that cannot be told apart.

/**
 * Makes the master, not its workers, believe that it is process 1 of a certain machine: as in copies of a container.
 */
function alikeMaster(hasBootId: boolean): string {
  const source = `
    import fs from 'node:fs'
    import os from 'node:os'
    import { syncBuiltinESMExports } from 'node:module'
    if (process.env.${WORKER_VARIABLE} === undefined) Object.defineProperty(process, 'pid', { value: 1 })
    const read = fs.readFileSync
    fs.readFileSync = (file, ...rest) => {
      if (!${String(hasBootId)} && file === '/proc/sys/kernel/random/boot_id') throw new Error('ENOENT')
      return read(file, ...rest)
    }
    os.hostname = () => 'localhost'
    syncBuiltinESMExports()`
  const options = [process.env.NODE_OPTIONS, '--import', `data:text/javascript,${encodeURIComponent(source)}`]
  return options.filter(Boolean).join(' ')
}

/** Until the lease of this claim was renewed twice; or until it is another claim. */
async function renewedTwice(database: TestDatabase, _id: string): Promise<void> {
  const first = await claimOf(database, _id)
  const seen = new Set([Number(first?.expiresAt)])
  await eventually('the lease was renewed twice', async () => {
    const claim = await claimOf(database, _id)
    seen.add(Number(claim?.expiresAt))
    return seen.size > 3 || claim?.token !== first?.token
  })
}

for (const hasBootId of [true, false]) {
  const where = hasBootId ? 'copies of one machine' : 'sandboxes that hide their machine'
  Tinytest.addAsync(`faults - persistent: two masters in ${where} leave each other's tasks alone`, async () => {
    await withDatabase(async database => {
      const options = { leaseDuration: 3000, maxAvailableWorkers: 1 }
      const settings = { database, options, env: { NODE_OPTIONS: alikeMaster(hasBootId) } }
      await withMaster(settings, async first => {
        const ofFirst = await first.addTask({ taskType: 'hold', data: {} })
        await first.held(ofFirst)
        await withMaster(settings, async second => {
          const ofSecond = await second.addTask({ taskType: 'hold', data: {} })
          await second.held(ofSecond)
          for (const _id of [ofFirst, ofSecond]) await renewedTwice(database, _id)
          assert.deepEqual([runsOf(first, ofFirst), runsOf(second, ofSecond)], [1, 1])
          for (const master of [first, second]) {
            assert.doesNotMatch(master.output, /requeued|lease lost/)
            await master.call('release', master === first ? ofFirst : ofSecond)
          }
          assert.equal((await first.ending(ofFirst)).task.attempts, 1)
          assert.equal((await second.ending(ofSecond)).task.attempts, 1)
          assert.deepEqual(
            [first, second].map(master => master.notices('stalled').length),
            [0, 0],
          )
        })
      })
    })
  })
}

// Row 12: the lease of a task that an idle master claims as it is added.

async function databaseTime(database: TestDatabase): Promise<number> {
  return Number((await database.db.command({ hello: 1 })).localTime)
}

for (const taskType of ['hold', "another app's"] as const) {
  const isOurs = taskType === 'hold'
  Tinytest.addAsync(
    `faults - persistent: a task that an idle master adds ${isOurs ? 'is leased' : 'for another app is not claimed, let alone leased'}, by the clock of the database`,
    async () => {
      const leaseDuration = 3000
      await withMaster({ options: { ...NO_TICKS, leaseDuration } }, async master => {
        const { database } = master
        await master.resultOf({ taskType: 'echo', data: {} })
        const before = await databaseTime(database)
        const _id = await master.addTask({ taskType, data: {} })
        if (!isOurs) {
          assert.equal(await claimOf(database, _id), undefined)
          return
        }
        let claim: StoredClaim | undefined
        await eventually('its first renewal', async () => {
          claim = await claimOf(database, _id)
          return claim?.expiresAt !== undefined
        })
        const after = await databaseTime(database)
        const expiresAt = Number(claim?.expiresAt)
        assert.ok(expiresAt >= before + leaseDuration && expiresAt <= after + leaseDuration)
        await master.held(_id)
        await master.call('release', _id)
        assert.equal((await master.ending(_id)).event, 'done')
      })
    },
  )
}

// Row 13: a renewal that comes late.

const BLOCKED_MS = 4000

Tinytest.addAsync(
  'faults - persistent: what a job asks while its master is blocked for longer than a lease is answered afterwards',
  async () => {
    await withMaster({ options: { ...NO_TICKS, leaseDuration: 900 } }, async master => {
      const _id = await master.addTask({ taskType: 'askLater', data: { milliseconds: BLOCKED_MS / 4 } })
      await master.startedUntil(_id)
      await master.call('block', BLOCKED_MS)
      const { event, value, task } = await master.ending(_id)
      assert.deepEqual([event, value, task.attempts], ['done', 'answered', 1])
    })
  },
)

Tinytest.addAsync(
  'faults - persistent: jobs that go on, or end, while their master is blocked for longer than a lease are done once',
  async () => {
    await withMaster({ options: { ...NO_TICKS, maxAvailableWorkers: 2, leaseDuration: 900 } }, async master => {
      const held = await master.addTask({ taskType: 'hold', data: {} })
      await master.held(held)
      const ended = await master.addTask({ taskType: 'block', data: { milliseconds: BLOCKED_MS / 2 } })
      await master.startedUntil(ended)
      await master.call('block', BLOCKED_MS)
      await master.call('release', held, 'after all')
      assert.equal((await master.ending(held)).value, 'after all')
      for (const _id of [held, ended]) {
        const { event, task } = await master.ending(_id)
        assert.deepEqual([event, task.attempts], ['done', 1])
      }
      assert.equal(master.notices('stalled').length, 0)
      assert.equal(await master.database.tasks.countDocuments(), 0)
    })
  },
)

Tinytest.addAsync(
  'faults - persistent: a master that was blocked for longer than a lease takes no task over from itself',
  async () => {
    await withMaster({ options: { leaseDuration: 900, refreshRate: 20 } }, async master => {
      const held = await master.addTask({ taskType: 'hold', data: {} })
      await master.held(held)
      for (let count = 0; count < 3; count++) await master.call('block', BLOCKED_MS / 2)
      await master.call('release', held, 'after all')
      const { event, task } = await master.ending(held)
      assert.deepEqual([event, task.attempts, master.notices('held').length], ['done', 1, 1])
    })
  },
)

// Row 37: an urgent task that comes back.

/** Jobs that are short enough to be claimed ahead, and of a lower priority than what comes back. */
function backlog(count: number, inMemory: boolean): NewTask[] {
  return Array<NewTask>(count).fill({ taskType: 'block', data: { milliseconds: 40 }, inMemory })
}

const URGENT = { taskType: 'failUntil', data: { attempt: 2 }, priority: 9, retries: 1 }

/** How an urgent task comes back while a backlog is at hand: adds it, and resolves to what makes it due. */
const RETURNS: Record<
  string,
  (master: RemoteMaster, inMemory: boolean) => Promise<{ _id: string; comeBack?: () => Promise<void> }>
> = {
  'is tried again after its backoff': async (master, inMemory) => {
    const _id = await master.addTask({ ...URGENT, inMemory, backoff: 5000 })
    await master.notice('retry', ({ task }) => task._id === _id)
    return { _id }
  },
  'is retried by hand': async (master, inMemory) => {
    const _id = await master.addTask({ ...URGENT, inMemory, retries: 0 })
    await master.ending(_id)
    return {
      _id,
      comeBack: async () => {
        assert.equal(await master.call('retry', _id), true)
      },
    }
  },
  'becomes due': async (master, inMemory) => {
    const dueDate = new Date(Date.now() + 5000)
    return { _id: await master.addTask({ taskType: 'echo', data: {}, priority: 9, dueDate, inMemory }) }
  },
}

/** Whether this master, whose only worker is busy, has claimed what is to run next. */
async function claimsAhead({ database }: RemoteMaster): Promise<boolean> {
  return (await database.tasks.countDocuments({ state: 'running' })) > 1
}

for (const { kind, inMemory } of QUEUES) {
  for (const [how, prepare] of Object.entries(RETURNS)) {
    Tinytest.addAsync(`faults - ${kind}: an urgent task that ${how} overtakes what is at hand`, async () => {
      await withMaster({ options: NO_TICKS }, async master => {
        for (const _id of await master.call('addTasks', backlog(10, inMemory))) await master.ending(_id)
        const { _id, comeBack } = await prepare(master, inMemory)
        const hold = { taskType: 'hold', data: {}, priority: 10, inMemory }
        const [held = '', ...behind] = await master.call('addTasks', [hold, ...backlog(10, inMemory)])
        await master.held(held)
        const isClaimedAhead = !inMemory && (await comesTrue(() => claimsAhead(master), 6000))
        await comeBack?.()
        await eventually(
          'the urgent task is due',
          async () => (await master.find(_id, inMemory))?.state !== 'scheduled',
        )
        // What no worker came to for a second may have been released: then it overtakes nothing.
        const isNext = async () => (await master.isRunning(_id)) || !(await claimsAhead(master))
        if (isClaimedAhead) await eventually('it is claimed, or nothing is at hand', isNext)
        // By then the master knows of its claim.
        await master.call('cancel', 'no such task')
        await master.call('release', held)
        const started = await master.startedUntil(behind.at(-1) ?? '')
        assert.equal(started[started.lastIndexOf(held) + 1], _id)
        await master.notice('done', ({ task }) => task._id === _id)
      })
    })
  }
}

for (const inMemory of [false, true]) {
  Tinytest.addAsync(
    `faults - ${inMemory ? 'in-memory' : 'persistent'}: what ended a job before its timeout counts, though its master was blocked over it`,
    async () => {
      await withMaster({}, async master => {
        const killed = await master.addTask({ taskType: 'hold', data: {}, timeout: 1500, inMemory })
        const pid = await master.held(killed)
        const blocked = master.call('block', 2500)
        process.kill(pid, 'SIGKILL')
        await blocked
        await master.written(new RegExp(`hold:${killed}\tworker ${String(pid)} died .*crash 1 of 3`))
        const data = { message: 'its own error', milliseconds: 100 }
        // On a loaded machine, the worker may take seconds for these 100 ms.
        const failed = await master.addTask({ taskType: 'throwAfter', data, timeout: 4000, inMemory })
        await master.written(new RegExp(`throwAfter:${failed}\tstarted`))
        await master.call('block', 5000)
        const { value } = await master.ending(failed)
        assert.equal((value as Error).message, 'its own error')
      })
    },
  )
}

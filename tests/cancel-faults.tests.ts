/** Faults of the first version around cancelling, retrying and removing tasks, each as a user sees it. */
import assert from 'node:assert/strict'
import type { NewTask, Task } from 'meteor/nschwarz:cluster'
import { Tinytest } from 'meteor/tinytest'
import type { TestDatabase } from './support/database'
import { isAlive } from './support/processes'
import { cancelledEvents, QUEUES, runsOf } from './support/queues'
import { type RemoteMaster, behindGate, sharedMaster, withDatabase, withMaster } from './support/remote-master'
import { ticks } from './support/ticks'
import { comesTrue, eventually } from './support/wait'

/** A job that outlives its abort is not killed during the test. */
const PATIENT = { abortGrace: 600_000 }
const WEB_ONLY = { withoutCluster: true } as const
const NO_TICKS = { refreshRate: 3_600_000, keepAlive: 'always' } as const

async function cancelledEvent(master: RemoteMaster, _id: string): Promise<Task> {
  return (await master.notice('cancelled', ({ task }) => task._id === _id)).task
}

function endingsOf(master: RemoteMaster, _id: string): RemoteMaster['endings'] {
  return master.endings.filter(({ task }) => task._id === _id)
}

async function aborted(master: RemoteMaster, _id: string): Promise<void> {
  await master.written(new RegExp(`${_id} was aborted: TaskCancelledError ERR_CLUSTER_TASK_CANCELLED`))
}

function holds(count: number, given: Partial<NewTask> = {}): NewTask[] {
  return Array<NewTask>(count).fill({ taskType: 'hold', data: {}, ...given })
}

function echoes(count: number, given: Partial<NewTask> = {}): NewTask[] {
  return Array<NewTask>(count).fill({ taskType: 'echo', data: {}, ...given })
}

/** A cancelled task whose job goes on: it is running, and its cancel is requested. */
async function assertRequested(master: RemoteMaster, _id: string, inMemory: boolean): Promise<void> {
  const task = (await master.find(_id, inMemory)) as Record<string, unknown> | undefined
  assert.equal(task?.state, 'running')
  if (!inMemory) assert.ok(task.cancelRequestedAt instanceof Date)
}

// Row 6: cancelling, then retrying, a task whose job runs.

for (const { kind, inMemory } of QUEUES) {
  Tinytest.addAsync(
    `faults - ${kind}: a running task is cancelled once its job has ended, whatever the job reports`,
    async () => {
      await withMaster({ options: PATIENT }, async master => {
        for (const fails of [false, true]) {
          const task = { taskType: 'outliveAbort', data: { fails }, retries: 3, backoff: 0, inMemory }
          const _id = await master.addTask(task)
          await master.held(_id)
          assert.equal(await master.call('cancel', _id), true)
          await aborted(master, _id)
          await assertRequested(master, _id, inMemory)
          assert.equal(cancelledEvents(master, _id), 0)
          await master.call('release', _id)
          assert.equal((await cancelledEvent(master, _id)).state, 'cancelled')
          assert.equal((await master.find(_id, inMemory))?.state, 'cancelled')
          await master.resultOf({ taskType: 'echo', data: {}, inMemory })
          assert.equal(cancelledEvents(master, _id), 1)
          assert.deepEqual(endingsOf(master, _id), [])
          assert.equal(runsOf(master, _id), 1)
          assert.equal(await master.call('cancel', _id), false)
        }
        assert.equal(master.notices('retry').length, 0)
      })
    },
  )

  Tinytest.addAsync(
    `faults - ${kind}: a cancelled task cannot be retried before its job has ended, so it never runs twice at once`,
    async () => {
      await withMaster({ options: { ...PATIENT, maxAvailableWorkers: 2, keepAlive: 'always' } }, async master => {
        const _id = await master.addTask({ taskType: 'outliveAbort', data: {}, inMemory })
        await master.held(_id)
        assert.deepEqual(await master.call('cancelThenRetry', _id), [true, false])
        await aborted(master, _id)
        await master.resultOf({ taskType: 'echo', data: {}, inMemory })
        assert.equal(runsOf(master, _id), 1)
        await master.call('release', _id)
        await cancelledEvent(master, _id)
        assert.equal(await master.call('retry', _id), true)
        await master.held(_id, 2)
        await master.call('release', _id)
        assert.deepEqual([(await master.ending(_id)).value, cancelledEvents(master, _id)], ['succeeded after all', 1])
      })
    },
  )

  Tinytest.addAsync(
    `faults - ${kind}: the event of a cancelled task whose job does not listen comes once its worker was killed`,
    async () => {
      await withMaster({ options: { abortGrace: 2000 } }, async master => {
        const _id = await master.addTask({ taskType: 'stubborn', data: {}, inMemory })
        const pid = await master.held(_id)
        assert.equal(await master.call('cancel', _id), true)
        assert.equal((await cancelledEvent(master, _id)).crashes, undefined)
        assert.equal(isAlive(pid), false)
        assert.equal((await master.find(_id, inMemory))?.state, 'cancelled')
        await master.resultOf({ taskType: 'echo', data: {}, inMemory })
        assert.deepEqual([cancelledEvents(master, _id), runsOf(master, _id)], [1, 1])
      })
    },
  )

  Tinytest.addAsync(`faults - ${kind}: a task that has not ended cannot be retried`, async () => {
    const master = await sharedMaster()
    const dueDate = new Date(Date.now() + 3_600_000)
    const ids = await master.call('addTasks', [...holds(3, { inMemory }), ...holds(1, { inMemory, dueDate })])
    const [running = '', second = '', waiting = '', scheduled = ''] = ids
    await Promise.all([master.held(running), master.held(second)])
    for (const _id of [running, waiting, scheduled]) assert.equal(await master.call('retry', _id), false)
    assert.equal((await master.find(scheduled, inMemory))?.state, 'scheduled')
    assert.equal(await master.call('cancel', scheduled), true)
    for (const _id of [running, second, waiting]) {
      await master.held(_id)
      await master.call('release', _id)
      assert.equal((await master.ending(_id)).event, 'done')
    }
    assert.deepEqual(
      [running, waiting, scheduled].map(_id => runsOf(master, _id)),
      [1, 1, 0],
    )
  })
}

/** The cancel of this running task was requested: its job is aborted and goes on, then the task is cancelled. */
async function assertCancelledAfterItsJob(holder: RemoteMaster, _id: string): Promise<void> {
  await aborted(holder, _id)
  await assertRequested(holder, _id, false)
  await holder.call('release', _id)
  assert.equal((await cancelledEvent(holder, _id)).state, 'cancelled')
  await ticks(holder.database)
  assert.deepEqual([cancelledEvents(holder, _id), endingsOf(holder, _id)], [1, []])
  assert.equal((await holder.find(_id, false))?.state, 'cancelled')
}

Tinytest.addAsync(
  "faults - persistent: a running task that a worker's job cancels is aborted, and cancelled once its job has ended",
  async () => {
    await withMaster({ options: { ...PATIENT, maxAvailableWorkers: 2 } }, async holder => {
      const _id = await holder.addTask({ taskType: 'outliveAbort', data: {} })
      await holder.held(_id)
      assert.equal(await holder.resultOf({ taskType: 'cancel', data: { _id } }), true)
      await assertCancelledAfterItsJob(holder, _id)
    })
  },
)

for (const [who, options] of [
  ['another master', {}],
  ['a web-only process', WEB_ONLY],
] as const) {
  Tinytest.addAsync(
    `faults - persistent: a running task that ${who} cancels is aborted, and cancelled once its job has ended`,
    async () => {
      await withDatabase(async database => {
        await withMaster({ database, options: PATIENT }, async holder => {
          const _id = await holder.addTask({ taskType: 'outliveAbort', data: {} })
          await holder.held(_id)
          await withMaster({ database, options }, async other => {
            assert.deepEqual(await other.call('cancelThenRetry', _id), [true, false])
            await assertCancelledAfterItsJob(holder, _id)
            assert.equal(other.notices('cancelled').length, 0)
          })
        })
      })
    },
  )
}

// Row 6: cancelling what has not started.

Tinytest.addAsync(
  'faults - persistent: the event of a cancelled task that did not run is emitted where it was cancelled, if at all',
  async () => {
    await withDatabase(async database => {
      await withMaster({ database }, async first => {
        const busy = await first.addTask({ taskType: 'hold', data: {} })
        await first.held(busy)
        await withMaster({ database, options: WEB_ONLY }, async web => {
          for (const canceller of [first, web]) {
            for (const _id of await notRunning(first)) {
              assert.equal(await canceller.call('cancel', _id), true)
              assert.equal((await first.find(_id, false))?.state, 'cancelled')
              if (canceller === first) await cancelledEvent(first, _id)
            }
          }
          await ticks(database)
          assert.deepEqual(
            [first, web].map(server => server.notices('cancelled').length),
            [2, 0],
          )
        })
        await first.call('release', busy)
      })
    })
  },
)

Tinytest.addAsync(
  "faults - persistent: the event of a cancelled task that did not run is emitted by the master of the worker's job that cancelled it",
  async () => {
    await withMaster({}, async master => {
      const ids = ['waiting', 'scheduled']
      const canceller = await master.addTask({ taskType: 'holdThenCancel', data: { ids } })
      await master.held(canceller)
      await notRunning(master, ids)
      await master.call('release', canceller)
      assert.deepEqual((await master.ending(canceller)).value, [true, true])
      for (const _id of ids) assert.equal((await master.find(_id, false))?.state, 'cancelled')
      await master.resultOf({ taskType: 'echo', data: {} })
      await ticks(master.database)
      assert.deepEqual(
        ids.map(_id => cancelledEvents(master, _id)),
        [1, 1],
      )
    })
  },
)

/** Adds a task that waits behind what runs, and one that is scheduled. */
async function notRunning(master: RemoteMaster, ids: readonly (string | undefined)[] = []): Promise<string[]> {
  const dueDate = new Date(Date.now() + 3_600_000)
  const [waiting, scheduled] = ids.map(_id => (_id === undefined ? {} : { _id }))
  return master.call('addTasks', [
    { taskType: 'echo', data: {}, ...waiting },
    { taskType: 'echo', data: {}, dueDate, ...scheduled },
  ])
}

for (const { kind, inMemory } of QUEUES) {
  Tinytest.addAsync(
    `faults - ${kind}: a cancelled task that was claimed ahead, or sent ahead to a worker, is not started`,
    async () => {
      await withMaster({ options: NO_TICKS }, async master => {
        for (const _id of await master.call('addTasks', echoes(200, { inMemory }))) await master.ending(_id)
        const [held = '', ...ahead] = await master.call('addTasks', [
          ...holds(1, { inMemory, priority: 9 }),
          ...echoes(60, { inMemory }),
        ])
        await master.held(held)
        // Whether any is claimed ahead is for the master to decide; once its claim is known, so is which.
        await comesTrue(async () => (await master.database.tasks.countDocuments({ state: 'running' })) > 10, 1000)
        await master.call('cancel', 'no such task')
        const answers = await Promise.all(ahead.map(_id => master.call('cancel', _id)))
        assert.ok(answers.every(Boolean))
        for (const _id of ahead) await cancelledEvent(master, _id)
        await master.call('release', held)
        assert.equal((await master.ending(held)).event, 'done')
        await master.resultOf({ taskType: 'echo', data: {}, inMemory })
        await master.caughtUp()
        for (const _id of ahead) {
          assert.doesNotMatch(master.output, new RegExp(`echo:${_id}\tstarted`))
          assert.deepEqual([cancelledEvents(master, _id), endingsOf(master, _id)], [1, []])
          assert.equal((await master.find(_id, inMemory))?.state, 'cancelled')
        }
      })
    },
  )
}

// Row 5: a cancel that meets a claim, or an end, half-way.

for (const { kind, inMemory } of QUEUES) {
  Tinytest.addAsync(
    `faults - ${kind}: when cancel says true, the only event of the task is 'cancelled', and else it is another`,
    async () => {
      const master = await sharedMaster()
      const said = new Map<string, boolean>()
      for (let round = 0; round < 12; round++) {
        const [ids, answers] = await master.call('addThenCancel', echoes(6, { inMemory }))
        for (const [index, _id] of ids.entries()) said.set(_id, answers[index] ?? false)
      }
      const ids = [...said.keys()]
      const events = (_id: string) => cancelledEvents(master, _id) + endingsOf(master, _id).length
      try {
        await master.until('each task has an event', () => ids.every(_id => events(_id) > 0))
        await ticks(master.database)
        for (const [_id, isCancelled] of said) {
          assert.deepEqual([cancelledEvents(master, _id), events(_id)], [isCancelled ? 1 : 0, 1])
        }
      } finally {
        await master.database.tasks.deleteMany({ _id: { $in: ids } })
      }
    },
  )
}

const IS_CANCELLED = { $or: [{ state: 'cancelled' }, { cancelRequestedAt: { $exists: true } }] }

/**
 * Four tasks that a master with four slots is claiming: the claims are made, and it does not know of all of them yet.
 */
async function claiming(master: RemoteMaster, database: TestDatabase): Promise<string[]> {
  const ids = await master.call('addTasks', holds(4))
  await eventually('all are claimed', async () => (await database.tasks.countDocuments({ state: 'running' })) === 4)
  return ids
}

for (const who of ['its master', 'a web-only process'] as const) {
  Tinytest.addAsync(
    `faults - persistent: a task that ${who} cancels while it is being claimed is not started, and has its event`,
    async () => {
      const options = { ...NO_TICKS, workerConcurrency: 4, maxAvailableWorkers: 1, leaseDuration: 600_000 }
      await behindGate(options, async (master, gate) => {
        const { database } = master
        await withMaster({ database, options: WEB_ONLY }, async web => {
          await master.workersAre(1)
          await master.resultOf({ taskType: 'echo', data: {} })
          gate.holdUpAnswersToUpdates()
          const ids = await claiming(master, database)
          const [first = '', second = '', ...cancelled] = ids
          const canceller = who === 'its master' ? master : web
          const answers = Promise.all(cancelled.map(_id => canceller.call('cancel', _id)))
          await eventually('both are cancelled', async () => (await database.tasks.countDocuments(IS_CANCELLED)) === 2)
          gate.reopen()
          assert.deepEqual(await answers, [true, true])
          for (const _id of [first, second]) {
            await master.held(_id)
            await master.call('release', _id)
            assert.equal((await master.ending(_id)).event, 'done')
          }
          for (const _id of cancelled) await cancelledEvent(master, _id)
          await master.call('setRefreshRate', 50)
          await ticks(database)
          assert.deepEqual(
            cancelled.map(_id => [cancelledEvents(master, _id), runsOf(master, _id)]),
            [
              [1, 0],
              [1, 0],
            ],
          )
          assert.equal(await database.tasks.countDocuments({ state: 'cancelled' }), 2)
          assert.equal(web.notices('cancelled').length, 0)
        })
      })
    },
  )
}

Tinytest.addAsync(
  'faults - persistent: while a claim is not answered, a running task is aborted at once, and the claimed one later',
  async () => {
    const options = { ...NO_TICKS, workerConcurrency: 2, maxAvailableWorkers: 1, leaseDuration: 600_000 }
    await behindGate(options, async (master, gate) => {
      const { database } = master
      await withMaster({ database, options: WEB_ONLY }, async web => {
        await master.workersAre(1)
        const untilAborted = { taskType: 'holdUntilAborted', data: {} }
        const canary = await web.addTask(untilAborted)
        await master.held(canary)
        gate.holdUpAnswersToFindAndModify()
        const _id = await web.addTask(untilAborted)
        await eventually('it is claimed', async () => (await database.tasks.countDocuments({ state: 'running' })) === 2)
        for (const cancelled of [_id, canary]) assert.equal(await web.call('cancel', cancelled), true)
        // The master has heard of both, in this order.
        await master.written(new RegExp(`${canary} was aborted`))
        gate.reopen()
        assert.equal((await cancelledEvent(master, _id)).state, 'cancelled')
      })
    })
  },
)

for (const [taskType, how] of [
  ['hold', 'succeeded'],
  ['holdThenFail', 'failed'],
] as const) {
  Tinytest.addAsync(
    `faults - persistent: a task that is cancelled before the outcome of its job is stored is cancelled, though it ${how}`,
    async () => {
      await behindGate({ maxAvailableWorkers: 1, leaseDuration: 600_000 }, async (master, gate) => {
        const { database } = master
        await withMaster({ database, options: WEB_ONLY }, async web => {
          const _id = await master.addTask({ taskType, data: {} })
          await master.held(_id)
          gate.holdUp()
          await master.call('release', _id)
          // On the same worker: the outcome has come before it.
          await master.resultOf({ taskType: 'echo', data: {}, inMemory: true })
          assert.equal(await web.call('cancel', _id), true)
          gate.reopen()
          assert.equal((await cancelledEvent(master, _id)).state, 'cancelled')
          await ticks(database)
          assert.deepEqual([cancelledEvents(master, _id), endingsOf(master, _id)], [1, []])
          assert.equal((await database.tasks.findOne({ _id }))?.state, 'cancelled')
          assert.equal(await web.call('retry', _id), true)
          await master.held(_id, 2)
        })
      })
    },
  )
}

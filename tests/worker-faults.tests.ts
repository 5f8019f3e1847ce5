/** Faults of the first version around workers and what they run, each as a user sees it. */
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { NewTask } from 'meteor/nschwarz:cluster'
import { Random } from 'meteor/random'
import { Tinytest } from 'meteor/tinytest'
import { createLog } from '../common/log'
import { errorFromWire, errorToWire } from '../common/pipe/wire'
import { createTask } from '../common/task'
import { JobIpc } from '../server/worker/job-ipc'
import type { ParentLink } from '../server/worker/parent-link'
import { anyPort } from './support/ports'
import { isAlive } from './support/processes'
import { QUEUES, runsOf } from './support/queues'
import { type RemoteMaster, behindGate, withMaster } from './support/remote-master'
import { KILLER_VARIABLE, PORT_THIEF_VARIABLE } from './support/remote-protocol'
import { comesTrue, eventually } from './support/wait'

const MEGABYTE = 2 ** 20

const ONE_WORKER = { maxAvailableWorkers: 1, keepAlive: 'always', refreshRate: 3_600_000 } as const

function echoes(count: number): NewTask[] {
  return Array<NewTask>(count).fill({ taskType: 'echo', data: {} })
}

/** Until it is known that jobs are short, none is sent ahead. */
async function warmUp(master: RemoteMaster): Promise<void> {
  for (const _id of await master.call('addTasks', echoes(200))) await master.ending(_id)
}

/** Adds a job with a result of megabytes and one that comes right behind it, with others before. */
async function addBehindLarge(master: RemoteMaster, large: Partial<NewTask>, behind: NewTask): Promise<string[]> {
  const largeResult = { taskType: 'text', data: { bytes: 8 * MEGABYTE }, ...large }
  return (await master.call('addTasks', [...echoes(10), largeResult, behind])).slice(-2)
}

// Row 1: the outcome of a job has left its worker before the next function is called.

Tinytest.addAsync('faults - a job with a large result is done, though the next one kills its worker', async () => {
  await withMaster({ options: { ...ONE_WORKER, maxCrashes: 1 } }, async master => {
    await warmUp(master)
    const [large = '', killer = ''] = await addBehindLarge(master, {}, { taskType: 'die', data: {} })
    const [done, failed] = [await master.ending(large), await master.ending(killer)]
    assert.deepEqual([done.event, done.task.attempts, done.task.crashes], ['done', 1, undefined])
    assert.equal((done.value as string).length, 8 * MEGABYTE)
    assert.deepEqual([(failed.value as Error).name, failed.task.crashes], ['WorkerCrashError', 1])
  })
})

Tinytest.addAsync('faults - a job with a large result does not time out while the next one blocks', async () => {
  await withMaster({ options: { ...ONE_WORKER, abortGrace: 500 } }, async master => {
    await warmUp(master)
    const block = { taskType: 'block', data: { milliseconds: 4000 } }
    const [large = '', behind = ''] = await addBehindLarge(master, { timeout: 2000 }, block)
    for (const _id of [large, behind]) {
      const { event, task } = await master.ending(_id)
      assert.deepEqual([event, task.attempts], ['done', 1])
    }
  })
})

// Row 2: a worker that hangs while it is idle.

/** What each leaves behind: a worker that runs nothing and starts nothing. @returns its pid */
const HANGING: Record<string, (master: RemoteMaster) => Promise<number>> = {
  'is suspended': async master => {
    const { pid } = (await master.resultOf({ taskType: 'process', data: {} })) as { pid: number }
    process.kill(pid, 'SIGSTOP')
    return pid
  },
  'loops for ever': async master => (await master.resultOf({ taskType: 'hangAfterwards', data: {} })) as number,
  'lost its listeners': async master => (await master.resultOf({ taskType: 'deafenWorker', data: {} })) as number,
}

const QUICK_START = { ...ONE_WORKER, startTimeout: 1000 } as const

for (const [how, hang] of Object.entries(HANGING)) {
  for (const { kind, inMemory } of QUEUES) {
    Tinytest.addAsync(
      `faults - ${kind}: a task that is sent to an idle worker that ${how} runs on another`,
      async () => {
        await withMaster({ options: QUICK_START }, async master => {
          const hung = await hang(master)
          const { event, value, task } = await master.run({ taskType: 'process', data: {}, inMemory })
          assert.deepEqual([event, task.attempts, task.crashes], ['done', 1, undefined])
          assert.notEqual((value as { pid: number }).pid, hung)
          assert.ok(!isAlive(hung))
          await master.written(/killed, since it did not start a job within 1000 ms \(startTimeout\)/)
        })
      },
    )

    Tinytest.addAsync(`faults - ${kind}: a task that waits in a worker that ${how} can be cancelled`, async () => {
      await withMaster({ options: QUICK_START }, async master => {
        await hang(master)
        const _id = await master.addTask({ taskType: 'hold', data: {}, inMemory })
        await eventually('it is claimed', () => master.isRunning(_id, inMemory))
        assert.equal(await master.call('cancel', _id), true)
        const { task } = await master.notice('cancelled', notice => notice.task._id === _id)
        assert.equal(task.attempts ?? 0, 0)
        assert.equal(runsOf(master, _id), 0)
      })
    })
  }

  for (const timeout of [0, 500]) {
    Tinytest.addAsync(`faults - a stop in ${String(timeout)} ms ends with a worker that ${how}`, async () => {
      await withMaster({ options: { ...ONE_WORKER, abortGrace: 500 } }, async master => {
        const hung = await hang(master)
        const _id = await master.addTask({ taskType: 'echo', data: {} })
        await eventually('it is claimed', () => master.isRunning(_id))
        const startedAt = performance.now()
        await master.call('stop', { timeout })
        assert.ok(performance.now() - startedAt < timeout + 500 + 2000)
        assert.ok(!isAlive(hung))
        assert.equal((await master.find(_id, false))?.state, 'waiting')
      })
    })
  }
}

/** For longer than a worker may take to start a job. */
const LONG_PAUSE_MS = 3 * (QUICK_START.startTimeout + 1000)

/** While these last, nothing is heard of a worker, and it is not to blame. */
const MASTER_PAUSES: Record<string, (master: RemoteMaster, worker: number) => Promise<unknown>> = {
  'is blocked': async (master, worker) => {
    await master.call('block', LONG_PAUSE_MS)
    process.kill(worker, 'SIGCONT')
  },
  'and its worker are suspended': async (master, worker) => {
    process.kill(master.pid, 'SIGSTOP')
    await pause(LONG_PAUSE_MS)
    for (const pid of [master.pid, worker]) process.kill(pid, 'SIGCONT')
  },
}

for (const [how, suspend] of Object.entries(MASTER_PAUSES)) {
  Tinytest.addAsync(`faults - while a master ${how}, no worker is killed for its silence`, async () => {
    await withMaster({ options: { ...QUICK_START, leaseDuration: 60_000 } }, async master => {
      const { pid } = (await master.resultOf({ taskType: 'process', data: {} })) as { pid: number }
      process.kill(pid, 'SIGSTOP')
      const _id = await master.addTask({ taskType: 'process', data: {} })
      await eventually('it is claimed', () => master.isRunning(_id))
      await suspend(master, pid)
      const { event, task, value } = await master.ending(_id)
      assert.deepEqual([event, task.attempts, (value as { pid: number }).pid], ['done', 1, pid])
      assert.doesNotMatch(master.output, /killed/)
    })
  })
}

Tinytest.addAsync(
  'faults - a job that blocks its worker beside short ones runs once, and they run elsewhere',
  async () => {
    const options = { ...QUICK_START, maxAvailableWorkers: 2, workerConcurrency: 4 }
    const file = path.join(tmpdir(), `cluster-test-${Random.id()}`)
    await withMaster({ options }, async master => {
      await master.workersAre(2)
      const [busy = '', ...short] = await master.call('addTasks', [
        { taskType: 'blockUntil', data: { file }, priority: 9 },
        ...echoes(7),
      ])
      for (const _id of short) assert.equal((await master.ending(_id)).event, 'done')
      assert.ok(!master.endings.some(({ task }) => task._id === busy))
      writeFileSync(file, '')
      assert.deepEqual((await master.ending(busy)).value, 1)
      assert.doesNotMatch(master.output, /killed/)
    })
    rmSync(file)
  },
)

Tinytest.addAsync('faults - a worker that was silent gets jobs once it is heard again, not at a tick', async () => {
  const options = { ...QUICK_START, workerConcurrency: 2 }
  const file = path.join(tmpdir(), `cluster-test-${Random.id()}`)
  await withMaster({ options }, async master => {
    await master.workersAre(1)
    const blocking = await master.addTask({ taskType: 'blockThenHold', data: { file } })
    await master.startedUntil(blocking)
    const waiting = await master.addTask({ taskType: 'echo', data: {} })
    await master.written(new RegExp(`${waiting}\trequeued: its worker is busy`))
    writeFileSync(file, '')
    assert.equal((await master.ending(waiting)).event, 'done')
    await master.call('release', blocking)
    assert.equal((await master.ending(blocking)).event, 'done')
  })
  rmSync(file)
})

// Row 16: tasks that kill their worker.

for (const { kind, inMemory } of QUEUES) {
  Tinytest.addAsync(
    `faults - ${kind}: tasks that kill their worker hold up those behind them once, and no longer`,
    async () => {
      await withMaster({ options: ONE_WORKER }, async master => {
        const killers = Array<NewTask>(5).fill({ taskType: 'die', data: {}, inMemory })
        const ids = await master.call('addTasks', [...killers, { taskType: 'echo', data: {}, inMemory }])
        const healthy = ids.pop() ?? ''
        assert.equal((await master.ending(healthy)).event, 'done')
        // Those that killed a worker may have begun again since.
        const started = await master.startedUntil(healthy)
        assert.deepEqual(started.slice(0, started.indexOf(healthy) + 1), [...ids, healthy])
        for (const _id of ids) {
          const { value, task } = await master.ending(_id)
          assert.deepEqual([(value as Error).name, task.crashes, task.attempts], ['WorkerCrashError', 3, 3])
        }
        assert.doesNotMatch(master.output, /no other is forked/)
      })
    },
  )

  Tinytest.addAsync(
    `faults - ${kind}: a task whose workers die before they start it runs alone, and then is to blame`,
    async () => {
      const options = { ...ONE_WORKER, maxCrashes: 2 }
      const env = { [KILLER_VARIABLE]: 'killer' }
      await withMaster({ options, env }, async master => {
        const { value, task } = await master.ending(
          await master.addTask({ taskType: 'echo', data: {}, _id: 'killer', inMemory }),
        )
        assert.deepEqual(
          [(value as Error).name, task.crashes, task.attempts, task.isSuspect],
          ['WorkerCrashError', 2, 0, true],
        )
        assert.deepEqual(await master.resultOf({ taskType: 'echo', data: { next: 1 }, inMemory }), { next: 1 })
      })
    },
  )
}

// Row 19: nobody reads what the master writes.

Tinytest.addAsync(
  'faults - a worker that writes megabytes which nobody reads waits, and its master does not',
  async () => {
    await withMaster({ options: ONE_WORKER }, async master => {
      await master.resultOf({ taskType: 'echo', data: {} })
      const read = master.leaveStderrUnread()
      const loud = await master.addTask({ taskType: 'complain', data: { megabytes: 5 } })
      await master.startedUntil(loud)
      const hasWritten = comesTrue(() => master.endings.length > 1, 4000)
      for (let calls = 0; calls < 20; calls++) await master.call('block', 10)
      assert.equal(await hasWritten, false, 'it cannot have written all')
      read()
      assert.equal((await master.ending(loud)).event, 'done')
      await master.written(/the last words/)
    })
  },
)

Tinytest.addAsync(
  'faults - the last words of a worker are known, though nobody reads what the master writes',
  async () => {
    await withMaster({ options: { ...ONE_WORKER, maxAvailableWorkers: 2, maxCrashes: 1 } }, async master => {
      const read = master.leaveStderrUnread()
      const first = await master.addTask({ taskType: 'complain', data: { megabytes: 5 } })
      await master.startedUntil(first)
      // It fits into the pipe, or the worker would wait, too.
      const loud = await master.addTask({ taskType: 'complain', data: { megabytes: 0.05, dies: true } })
      const { value } = await master.ending(loud)
      assert.match((value as Error).message, /the last words$/)
      read()
      await master.written(/the last words/)
    })
  },
)

// Rows 20 and 21: conversations that outlive their job.

Tinytest.addAsync('faults - a conversation that begins after its job has ended is dropped with a warning', async () => {
  await withMaster({ options: ONE_WORKER }, async master => {
    const { task } = await master.run({ taskType: 'talkAfterwards', data: {} })
    await master.written(new RegExp(`WARNING\ttalkAfterwards:${task._id} called toggleIPC after its job had ended`))
    assert.equal((await master.run({ taskType: 'echo', data: {} })).event, 'done')
    assert.equal(master.workerPids.length, 1)
    assert.doesNotMatch(master.output, /never called|died/)
  })
})

Tinytest.addAsync('faults - a conversation that its job does not wait for ends with it, and harms nobody', async () => {
  await withMaster({ options: ONE_WORKER }, async master => {
    const { task } = await master.run({ taskType: 'talkWithoutWaiting', data: {} })
    const pid = await master.resultOf({ taskType: 'talkUnsendably', data: {} })
    await master.held(task._id)
    await master.call('release', task._id, 'too late')
    const { pid: next } = (await master.resultOf({ taskType: 'process', data: {} })) as { pid: number }
    assert.equal(next, pid)
    assert.doesNotMatch(master.output, /never called/)
  })
})

Tinytest.add('faults - the conversations of a job that has ended are let go', () => {
  const sent: unknown[] = []
  const link: Pick<ParentLink, 'send'> = { send: message => void sent.push(message) }
  const ipc = new JobIpc(link, createLog('error'))
  const job = createTask({ taskType: 'TEST', data: {} })
  const toggleIPC = ipc.jobStarted(job, 'token')
  for (let count = 0; count < 100; count++)
    void toggleIPC(
      () => undefined,
      send => send({ status: 2, data: {} }),
    )
  assert.equal(sent.length, 100)
  assert.equal(ipc.openConversations, 100)
  ipc.jobEnded('token')
  assert.equal(ipc.openConversations, 0)
})

// Row 41: errors that cross the pipe.

Tinytest.add('faults - no stack is formatted for an error that comes through the pipe', () => {
  // eslint-disable-next-line @typescript-eslint/unbound-method -- it is put back where it was
  const { prepareStackTrace } = Error
  const wire = errorToWire(new AggregateError([new Error('one', { cause: new Error('why') })], 'all'))
  let formatted = 0
  Error.prepareStackTrace = (_error, frames) => {
    formatted += frames.length
    return ''
  }
  try {
    const error = errorFromWire(wire)
    assert.equal(error.stack, wire.stack)
    assert.ok(new Error('of its own').stack !== undefined)
  } finally {
    Error.prepareStackTrace = prepareStackTrace
  }
  assert.ok(formatted > 0 && formatted <= Error.stackTraceLimit, 'only that of the other error')
})

// Row 44: a port that is taken while a worker boots.

Tinytest.addAsync('faults - a worker whose port is taken while it boots takes the next one', async () => {
  const port = await anyPort()
  await withMaster({ options: { ...ONE_WORKER, port }, env: { [PORT_THIEF_VARIABLE]: '1' } }, async master => {
    const worker = (await master.resultOf({ taskType: 'process', data: {} })) as { port: string }
    assert.ok(Number(worker.port) > port)
    assert.doesNotMatch(master.output, /EADDRINUSE|ended before it was ready/)
  })
})

// Row 4: room that cannot be used.

for (const { kind, inMemory } of QUEUES) {
  Tinytest.addAsync(
    `faults - ${kind}: while a worker is kept free for a job that runs alone, others are forked`,
    async () => {
      await withMaster(
        { options: { keepAlive: 60_000, maxAvailableWorkers: 2, workerConcurrency: 2 } },
        async master => {
          const first = await master.addTask({ taskType: 'hold', data: {}, inMemory })
          await master.held(first)
          const suspect = { ...createTask({ taskType: 'hold', data: {} }), isSuspect: true }
          await master.database.tasks.insertOne(suspect)
          await master.held(suspect._id)
          const others = await master.call(
            'addTasks',
            [1, 2].map(() => ({ taskType: 'echo', data: {}, inMemory })),
          )
          for (const _id of others) assert.equal((await master.ending(_id)).event, 'done')
          for (const _id of [first, suspect._id]) await master.call('release', _id)
          assert.equal((await master.ending(suspect._id)).event, 'done')
        },
      )
    },
  )

  Tinytest.addAsync(
    `faults - ${kind}: while a worker that is to be replaced still runs a job, others are forked`,
    async () => {
      const options = { keepAlive: 60_000, maxAvailableWorkers: 2, maxJobsPerWorker: 2, workerConcurrency: 2 }
      await withMaster({ options }, async master => {
        const long = await master.addTask({ taskType: 'hold', data: {}, inMemory })
        const worn = await master.held(long)
        await master.run({ taskType: 'echo', data: {}, inMemory })
        for (let count = 0; count < 2; count++) {
          const { pid } = (await master.resultOf({ taskType: 'process', data: {}, inMemory })) as { pid: number }
          assert.notEqual(pid, worn)
        }
        await master.call('release', long)
        assert.equal((await master.ending(long)).event, 'done')
      })
    },
  )
}

// A stop ends in time, whatever the workers are at.

const STOP = { timeout: 500, grace: 500, margin: 2000 } as const

/** Brings a master into a state in which it is to be stopped. */
const STATES: Record<string, (master: RemoteMaster) => Promise<unknown>> = {
  'is idle': master => master.resultOf({ taskType: 'echo', data: {} }),
  'still boots its workers': master => eventually('a worker is forked', () => master.workerPids.length > 0),
  'runs a job that outlives its abort': async master =>
    master.held(await master.addTask({ taskType: 'outliveAbort', data: {} })),
  'runs a job that blocks its neighbours': async master => {
    const block = { taskType: 'block', data: { milliseconds: 60_000 } }
    const [first = ''] = await master.call('addTasks', [block, ...echoes(3)])
    await master.startedUntil(first)
  },
  'has sent jobs ahead of one that does not end': async master => {
    await warmUp(master)
    const ids = await master.call('addTasks', [
      ...echoes(50),
      { taskType: 'block', data: { milliseconds: 60_000 } },
      ...echoes(50),
    ])
    await master.startedUntil(ids[50] ?? '')
  },
  'is being stopped already': async master => {
    await master.held(await master.addTask({ taskType: 'outliveAbort', data: {} }))
    void master.call('stop', { timeout: 60_000 }).catch(() => undefined)
  },
}

for (const [state, prepare] of Object.entries(STATES)) {
  Tinytest.addAsync(`faults - a stop of a master that ${state} ends in time`, async () => {
    await withMaster({ options: { ...ONE_WORKER, abortGrace: STOP.grace, workerConcurrency: 2 } }, async master => {
      await prepare(master)
      const startedAt = performance.now()
      await master.call('stop', { timeout: STOP.timeout })
      const took = performance.now() - startedAt
      assert.ok(took < STOP.timeout + STOP.grace + STOP.margin, `it took ${String(took)} ms`)
      assert.deepEqual(master.workerPids, [])
      assert.equal(await master.database.tasks.countDocuments({ state: 'running' }), 0)
    })
  })
}

Tinytest.addAsync(
  'faults - a stop of a master whose database is away ends in time, with a job that has ended',
  async () => {
    await behindGate({ abortGrace: STOP.grace }, async (master, gate) => {
      const _id = await master.addTask({ taskType: 'hold', data: {} })
      await master.held(_id)
      gate.shut()
      await master.call('release', _id)
      const startedAt = performance.now()
      await master.call('stop', { timeout: STOP.timeout })
      assert.ok(performance.now() - startedAt < STOP.timeout + STOP.grace + STOP.margin)
      assert.deepEqual(master.workerPids, [])
    })
  },
)

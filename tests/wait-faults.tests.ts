/** Faults of jobs and processes that wait for the end of a task, and of what they get. */
import { type NewTask, TaskQueue } from 'meteor/nschwarz:cluster'
import { Random } from 'meteor/random'
import { Tinytest } from 'meteor/tinytest'
import { toWire } from '../common/pipe/wire'
import { copyTask, createTask } from '../common/task'
import { queue } from '../server/queue/instances'
import { doneWith } from '../server/queue/results/ending'
import { Waiters } from '../server/queue/results/waiters'
import { QUEUES } from './support/queues'
import { refused } from './support/refused'
import { STOPPING_HOOK_VARIABLE } from './support/remote-protocol'
import { behindCommandGate } from './support/behind-command-gate'
import { type RemoteMaster, behindGate, withDatabase, withMaster } from './support/remote-master'
import { claimedInMemory, requestFor } from './support/settle'
import { ticks } from './support/ticks'
import { eventually } from './support/wait'
import type { Command } from './support/command-gate'

const TOMORROW = new Date(Date.now() + 86_400_000)
const ONE_WORKER = { maxAvailableWorkers: 1, keepAlive: 'always' } as const

for (const { kind, inMemory } of QUEUES) {
  Tinytest.addAsync(
    `faults - ${kind}: a task that kills its worker is to blame, and not the job that waits for it there`,
    async test => {
      await withMaster({ options: { ...ONE_WORKER, maxCrashes: 1 } }, async master => {
        const killer = { taskType: 'die', data: {}, _id: 'killer' }
        const parent = await master.addTask({ taskType: 'runOthers', data: [killer], inMemory })
        const { task, value } = await master.ending(parent)
        test.equal([value, task.crashes], [['WorkerCrashError'], undefined])
        test.equal((await master.find('killer', false))?.crashes, 1)
      })
    },
  )
}

for (const limit of [{ maxJobsPerWorker: 1 }, { maxWorkerMemory: 1 }]) {
  Tinytest.addAsync(
    `faults - a job in a worker that is to be recycled gets the results of all that it waits for (${JSON.stringify(limit)})`,
    async test => {
      await withMaster({ options: { ...ONE_WORKER, ...limit } }, async master => {
        const others: NewTask[] = [1, 2, 3].map(data => ({ taskType: 'echo', data: { data } }))
        test.equal(
          await master.resultOf({ taskType: 'runOthers', data: others }),
          others.map(({ data }) => data),
        )
      })
    },
  )
}

/** Whether the master still does nothing, though somebody waits in its process. */
async function staysStopped(master: RemoteMaster): Promise<boolean> {
  await master.addTask({ taskType: 'echo', data: {}, _id: 'left' })
  await master.call('result', 'left', { timeout: 300 }).catch(() => undefined)
  return (await master.find('left', false))?.state === 'waiting' && (await master.call('stats'))?.workers.length === 0
}

Tinytest.addAsync('faults - who waits for a task does not start a cluster that was stopped', async test => {
  await withMaster({ options: ONE_WORKER }, async master => {
    await master.resultOf({ taskType: 'echo', data: {} })
    await master.call('stop')
    test.isTrue(await staysStopped(master))
    await master.call('initialize')
    await master.ending('left')
  })
})

Tinytest.addAsync('faults - who begins to wait during a stop does not restart the cluster', async test => {
  await withMaster({ options: ONE_WORKER }, async master => {
    const _id = await master.addTask({ taskType: 'hold', data: {} })
    await master.held(_id)
    const stopping = master.call('stop', { timeout: 60_000 })
    await refused(test, master.call('result', _id, { timeout: 100 }), 'WaitTimeoutError', /./)
    await master.call('release', _id)
    await stopping
    test.isTrue(await staysStopped(master))
  })
})

Tinytest.addAsync('faults - a cluster that a startup hook has stopped is not started afterwards', async test => {
  await withMaster({ options: ONE_WORKER, env: { [STOPPING_HOOK_VARIABLE]: '1' } }, async master => {
    test.isTrue(await staysStopped(master))
  })
})

Tinytest.addAsync('faults - a running job is cancelled from another process while its master stops', async () => {
  await withDatabase(async database => {
    await withMaster({ database, options: { ...ONE_WORKER, leaseDuration: 300_000 } }, async master => {
      const _id = await master.addTask({ taskType: 'holdUntilAborted', data: {} })
      await master.held(_id)
      const stopping = master.call('stop', { timeout: 60_000 })
      await withMaster({ database, options: { withoutCluster: true } }, async other => {
        await other.call('cancel', _id)
      })
      await master.written(/was aborted/)
      await stopping
    })
  })
})

for (const { kind, inMemory } of QUEUES) {
  const isIn = (master: RemoteMaster, _id: string) => master.find(_id, inMemory)

  Tinytest.addAsync(
    `faults - ${kind}: the signal of run cancels no other task of the same _id, nor of the other queue`,
    async test => {
      await withMaster({ options: { ...ONE_WORKER, refreshRate: 3_600_000 } }, async master => {
        const later = { taskType: 'echo', data: {}, dueDate: TOMORROW, _id: 'taken' }
        const running = master.call('run', { ...later, inMemory }, { abortable: true })
        const rejection = running.catch((error: unknown) => (error as Error).name)
        await eventually('it is added', async () => (await isIn(master, 'taken')) !== undefined)
        await master.call('replace', { ...later, inMemory })
        await master.addTask({ ...later, inMemory: !inMemory })
        await master.call('abort')
        // Whoever waits may learn earlier that the task was replaced.
        test.isTrue(['Error', 'TaskRemovedError'].includes(String(await rejection)))
        test.equal(
          [(await isIn(master, 'taken'))?.state, (await master.find('taken', !inMemory))?.state],
          Array(2).fill('scheduled'),
        )
      })
    },
  )

  Tinytest.addAsync(
    `faults - ${kind}: the _id of a done task is taken until its keepDone is over, and no longer`,
    async test => {
      await withMaster({ options: ONE_WORKER }, async master => {
        const task = { taskType: 'echo', data: { n: 1 }, inMemory, _id: 'kept' }
        await master.call('run', { ...task, keepDone: 3_600_000 })
        await refused(test, master.addTask(task), 'DuplicateTaskError', /kept/)
        await master.call('run', { ...task, keepDone: 1, _id: 'free' })
        await ticks(master.database)
        // It is kept for those who wait, and MongoDB removes it some time later.
        await master.addTask({ ...task, data: { n: 2 }, _id: 'free', dueDate: TOMORROW })
        test.equal([(await isIn(master, 'free'))?.state, (await isIn(master, 'free'))?.data], ['scheduled', { n: 2 }])
      })
    },
  )

  Tinytest.addAsync(`faults - ${kind}: who joins a failed task gets an error of its class`, async test => {
    await withMaster({ options: ONE_WORKER }, async master => {
      const task = { taskType: 'failWithMeteorError', data: {}, inMemory, _id: 'failing' }
      const [first, joined] = [await master.call('errorOfRun', task), await master.call('errorOfRun', task)]
      test.equal(joined.classes, first.classes)
      test.isTrue(joined.classes.length > 1)
    })
  })

  Tinytest.addAsync(`faults - ${kind}: a failed task that is retried is kept for who waits elsewhere`, async test => {
    await withMaster({ options: ONE_WORKER }, async master => {
      const task = { taskType: 'failUntil', data: { attempt: 2 }, inMemory, _id: 'again' }
      await refused(test, master.call('run', task), 'Error', /./)
      await master.call('retry', 'again')
      await master.notice('done', ended => ended.task._id === 'again')
      test.isTrue((await isIn(master, 'again'))?.endedAt instanceof Date)
    })
  })
}

Tinytest.addAsync('faults - who cancels what a run has added leaves a later task of the same _id alone', async test => {
  const _id = Random.id()
  const [first, second] = [1, 2].map(() => createTask({ taskType: 'TEST', data: {}, _id, dueDate: TOMORROW }))
  if (first === undefined || second === undefined) throw new Error('no tasks')
  try {
    await queue.store(second, false)
    test.equal([await queue.cancelOnly(first), await queue.cancelOnly(second)], [false, true])
  } finally {
    await TaskQueue.removeAsync(_id)
  }
})

Tinytest.addAsync('faults - each of those who wait for a task gets a result of its own', async test => {
  const waiters = new Waiters(
    { endingsOf: () => Promise.resolve([]) },
    { open: () => undefined, close: () => undefined },
  )
  const task = createTask({ taskType: 'TEST', data: {} })
  const waits = [waiters.wait(task), waiters.wait(task)]
  waiters.ended(task, () => doneWith({ value: { list: [1] } }))
  const [first, second] = await Promise.all(waits.map(({ ending }) => ending))
  test.equal(first, second)
  test.isFalse(first?.kind === 'done' && second?.kind === 'done' && first.value === second.value)
})

Tinytest.add('faults - what is kept in memory is given out as copies, and the done task is one', test => {
  const { queue, claim } = claimedInMemory({ keepDone: 3_600_000 })
  const report = { progress: { list: [1] }, log: [{ at: new Date(5), text: 'a line' }] }
  const settlement = {
    kind: 'done' as const,
    value: { value: undefined },
    keepDone: 3_600_000,
    kept: { result: { list: [1] } },
  }
  queue.settle({ ...requestFor(claim, settlement), report })
  const given = () => JSON.stringify([queue.findById('kept'), queue.markAwaited('kept')?.ending])
  const before = given()
  const found = queue.findById('kept') as unknown as {
    result: unknown
    progress: unknown
    log: { at: Date }[]
    data: unknown
  }
  const ending = queue.markAwaited('kept')?.ending as { value: unknown } | undefined
  for (const copy of [found.result, found.progress, found.data, claim.task.data, ending?.value]) {
    ;(copy as { list: number[] }).list.push(2)
  }
  found.log[0]?.at.setTime(0)
  test.equal(given(), before)
})

Tinytest.add('faults - a task in memory that replaces a kept one is not dropped with it', test => {
  const { queue, claim } = claimedInMemory({})
  queue.markAwaited('kept')
  queue.settle(
    requestFor(claim, { kind: 'done', value: { value: undefined }, keepDone: undefined, kept: { result: undefined } }),
  )
  queue.add([createTask({ taskType: 'TEST', data: {}, _id: 'kept', dueDate: TOMORROW })])
  const others = Array.from({ length: 1001 }, (_, n) =>
    createTask({ taskType: 'TEST', data: {}, _id: String(n), dueDate: TOMORROW }),
  )
  queue.add(others)
  for (const { _id } of others) queue.cancel(_id)
  test.equal(queue.findById('kept')?.state, 'scheduled')
})

for (const { kind, inMemory } of QUEUES) {
  Tinytest.addAsync(`faults - ${kind}: what jobs wait for runs before the jobs that wait behind them`, async test => {
    await withMaster({ options: ONE_WORKER }, async master => {
      await master.resultOf({ taskType: 'echo', data: {} })
      const parents: NewTask[] = Array.from({ length: 50 }, (_, n) => ({
        taskType: 'runOther',
        data: { taskType: 'echo', data: { n }, _id: `child-${String(n)}` },
        _id: `parent-${String(n)}`,
        inMemory,
      }))
      for (const _id of await master.call('addTasks', parents)) test.equal((await master.ending(_id)).event, 'done')
      await master.caughtUp()
      let waiting = 0
      let most = 0
      for (const _id of master.starts.slice(1)) {
        waiting += _id.startsWith('parent') ? 1 : -1
        most = Math.max(most, waiting)
      }
      // On a loaded machine a claim may be released, and another job may come between.
      test.isTrue(most <= 5, `${String(most)} parents have waited at once`)
    })
  })

  Tinytest.addAsync(`faults - ${kind}: run joins a task of its own queue only`, async test => {
    await withMaster({ options: ONE_WORKER }, async master => {
      const shared = { _id: 'both', data: { n: 1 } }
      await master.addTask({ ...shared, taskType: 'nothing', inMemory: !inMemory, dueDate: TOMORROW })
      await master.run({ ...shared, taskType: 'echo', inMemory, keepDone: 3_600_000 })
      test.equal(await master.call('run', { ...shared, taskType: 'echo', inMemory, data: {} }), { n: 1 })
    })
  })

  Tinytest.addAsync(`faults - ${kind}: a failed task gives up its _id after its keepFailed`, async test => {
    await withMaster({ options: ONE_WORKER }, async master => {
      const task = { taskType: 'failFatally', data: {}, keepFailed: 1, _id: 'short', inMemory }
      await master.run(task)
      await ticks(master.database)
      test.equal(await master.addTask({ ...task, dueDate: TOMORROW }), 'short')
    })
  })
}

for (const withError of [false, true]) {
  Tinytest.addAsync(
    `faults - what a task asks for by its error, it does not ask for whoever runs it (${String(withError)})`,
    async test => {
      await withMaster({ options: ONE_WORKER }, async master => {
        const child = { taskType: 'failFatally', data: { withError } }
        const parent = await master.addTask({ taskType: 'runOther', data: child, retries: 2, backoff: 1 })
        test.equal((await master.ending(parent)).task.attempts, 3)
      })
    },
  )
}

for (const what of ['a run that times out', 'a run that fails', 'a result']) {
  Tinytest.addAsync(`faults - ${what}, which a job does not await, ends no worker`, async test => {
    await withMaster({ options: { ...ONE_WORKER, withLimits: true, workerConcurrency: 4 } }, async master => {
      await master.addTask({ taskType: 'limitedHold', data: {}, _id: 'tomorrow', dueDate: TOMORROW })
      const [before] = master.workerPids
      await master.run({ taskType: 'leaveWaits', data: { what } })
      // Later than the timer that the job has left behind.
      await master.run({ taskType: 'limitedSpan', data: { milliseconds: 300 } })
      test.equal(master.workerPids, [before])
    })
  })
}

Tinytest.addAsync('faults - the result of no task is given to what a job has left behind, nor marked', async test => {
  await withMaster({ options: { ...ONE_WORKER, withLimits: true } }, async master => {
    await master.addTask({ taskType: 'limitedHold', data: {}, _id: 'tomorrow', dueDate: TOMORROW })
    for (const _id of ['tomorrow', 'missing']) {
      await master.run({ taskType: 'resultAfterwards', data: { _id } })
      await master.written(new RegExp(`the result of ${_id}: WrongProcessError`))
    }
    test.isUndefined((await master.find('tomorrow', false))?.awaited)
  })
})

for (const method of ['run', 'result'] as const) {
  Tinytest.addAsync(`faults - ${method} ends at its timeout, though the database does not answer`, async test => {
    await behindGate(ONE_WORKER, async (master, gate) => {
      await master.addTask({ taskType: 'echo', data: {}, dueDate: TOMORROW, _id: 'tomorrow' })
      gate.holdUp()
      const limit = { timeout: 500 }
      const task = { taskType: 'echo', data: {} }
      const waiting = method === 'run' ? master.call('run', task, limit) : master.call('result', 'tomorrow', limit)
      await refused(test, waiting, 'WaitTimeoutError')
      gate.reopen()
    })
  })
}

Tinytest.addAsync('faults - an aborted run rejects with the reason, though the database is away', async test => {
  await behindGate(ONE_WORKER, async (master, gate) => {
    const task = { taskType: 'echo', data: {}, dueDate: TOMORROW, _id: 'tomorrow' }
    await master.call('record', 'added', ['added'])
    const waiting = refused(test, master.call('run', task, { abortable: true }), 'Error', /aborted by the test/)
    // Its document can be seen before the master has its answer.
    await master.notice('recorded')
    gate.shut()
    await master.call('abort')
    await waiting
    await master.written(/echo:tomorrow\tcannot be cancelled, although the signal of its run is aborted/)
    gate.reopen()
  })
})

Tinytest.addAsync('faults - who waits for a task in memory learns at once that it is removed', async test => {
  await withMaster({ options: { ...ONE_WORKER, refreshRate: 3_600_000 } }, async master => {
    const task = { taskType: 'echo', data: {}, _id: 'removed', inMemory: true, dueDate: TOMORROW }
    const waiting = refused(test, master.call('run', task), 'TaskRemovedError', /removed/)
    await eventually('it is added', async () => (await master.find('removed', true)) !== undefined)
    await master.call('removeById', 'removed')
    await waiting
  })
})

/** Nobody polls the ends of tasks. */
const NO_POLLS = { refreshRate: 3_600_000 } as const

Tinytest.addAsync('faults - a busy master hears at once that another has run its task', async test => {
  await withMaster({ options: { ...ONE_WORKER, ...NO_POLLS } }, async master => {
    await master.held(await master.addTask({ taskType: 'hold', data: {} }))
    await withMaster({ database: master.database, options: ONE_WORKER }, async () => {
      for (const n of [1, 2]) test.equal(await master.call('run', { taskType: 'echo', data: { n } }), { n })
    })
  })
})

Tinytest.addAsync('faults - an end that comes before the change stream is open is not missed', async test => {
  const isStream = ({ name, body }: Command) =>
    name === 'aggregate' && JSON.stringify(body).includes('$changeStream') && JSON.stringify(body).includes('"ended"')
  const judge = (command: Command) => (isStream(command) ? 'hold' : 'pass')
  await behindCommandGate(judge, { ...NO_POLLS, autoInitialize: false }, async (web, gate) => {
    await withMaster({ database: web.database, options: ONE_WORKER }, async master => {
      const waiting = web.call('run', { taskType: 'echo', data: { a: 1 }, _id: 'early' })
      await master.ending('early')
      gate.judge = () => 'pass'
      gate.release()
      test.equal(await waiting, { a: 1 })
    })
  })
})

Tinytest.add('faults - binary data shares its memory with no other', test => {
  const bytes = { bytes: Buffer.from('abc') }
  const task = copyTask(createTask({ taskType: 'TEST', data: bytes }))
  const ending = doneWith(toWire(bytes)) as { readonly value: typeof bytes }
  for (const { buffer } of [(task.data as typeof bytes).bytes, ending.value.bytes]) test.equal(buffer.byteLength, 3)
})

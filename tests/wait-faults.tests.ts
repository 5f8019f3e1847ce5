/** Faults of jobs and processes that wait for the end of a task, and of what they get. */
import type { NewTask } from 'meteor/nschwarz:cluster'
import { Tinytest } from 'meteor/tinytest'
import { createTask } from '../common/task'
import { doneWith } from '../server/queue/results/ending'
import { Waiters } from '../server/queue/results/waiters'
import { QUEUES } from './support/queues'
import { refused } from './support/refused'
import { STOPPING_HOOK_VARIABLE } from './support/remote-protocol'
import { type RemoteMaster, withDatabase, withMaster } from './support/remote-master'
import { claimedInMemory, requestFor } from './support/settle'
import { ticks } from './support/ticks'
import { eventually } from './support/wait'

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
        const running = refused(test, master.call('run', { ...later, inMemory }, { abortAfter: 1000 }), 'Error', /./)
        await eventually('it is added', async () => (await isIn(master, 'taken')) !== undefined)
        await master.call('replace', { ...later, inMemory })
        await master.addTask({ ...later, inMemory: !inMemory })
        await running
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

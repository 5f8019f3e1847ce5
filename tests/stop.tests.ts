import { Tinytest } from 'meteor/tinytest'
import type { RemoteMaster } from './support/remote-master'
import { runsOf } from './support/queues'
import { behindGate, withDatabase, withMaster } from './support/remote-master'
import { eventually } from './support/wait'

const PRODUCTION = { NODE_ENV: 'production' }

/** A master on which a task is running, and another waits behind it. */
async function withWork(
  settings: Parameters<typeof withMaster>[0],
  taskType: string,
  test: (master: RemoteMaster, running: string, waiting: string) => Promise<void>,
): Promise<void> {
  await withMaster(settings, async master => {
    const running = await master.addTask({ taskType, data: {}, priority: 2 })
    await master.held(running)
    await test(master, running, await master.addTask({ taskType: 'echo', data: { a: 1 } }))
  })
}

Tinytest.addAsync('stop - running jobs end, nothing else is started, and all workers are closed', async test => {
  await withWork({}, 'hold', async (master, running, waiting) => {
    const stopped = master.call('stop', { timeout: 60_000 })
    await master.call('release', running, 'in time')
    await stopped
    test.equal((await master.ending(running)).value, 'in time')
    test.equal(master.workerPids, [])
    test.equal((await master.database.tasks.findOne({ _id: waiting }))?.state, 'waiting')

    await master.call('initialize')
    test.equal((await master.ending(waiting)).value, { a: 1 })
  })
})

Tinytest.addAsync('stop - a job that goes on is aborted after the timeout, and its task released', async test => {
  await withWork({}, 'holdUntilAborted', async (master, running) => {
    await master.call('stop', { timeout: 50 })
    await master.written(new RegExp(`${running} was aborted: ClusterStoppedError ERR_CLUSTER_STOPPED`))
    const task = await master.database.tasks.findOne({ _id: running })
    test.equal([task?.state, task?.crashes, task?.failures], ['waiting', undefined, undefined])
  })
})

Tinytest.addAsync('stop - a job that does not listen is killed, and its task released', async test => {
  await withWork({ options: { abortGrace: 50 } }, 'stubborn', async (master, running) => {
    await master.call('stop', { timeout: 50 })
    const task = await master.database.tasks.findOne({ _id: running })
    test.equal([task?.state, task?.crashes, task?.failures], ['waiting', undefined, undefined])
    test.equal(master.workerPids, [])
  })
})

Tinytest.addAsync(
  'stop - a worker that dies meanwhile, as its whole service is told to end, is no crash',
  async test => {
    await withMaster({}, async master => {
      const _id = await master.addTask({ taskType: 'hold', data: {} })
      const worker = await master.held(_id)
      const stopped = master.call('stop', { timeout: 60_000 })
      process.kill(worker, 'SIGKILL')
      await stopped
      const task = await master.database.tasks.findOne({ _id })
      test.equal([task?.state, task?.crashes], ['waiting', undefined])
    })
  },
)

Tinytest.addAsync('stop - the last word counts, and a second stop may hurry the first', async test => {
  await withWork({}, 'hold', async (master, running, waiting) => {
    const stopped = [master.call('stop', { timeout: 60_000 }), master.call('initialize')]
    stopped.push(master.call('stop', { timeout: 0 }))
    await Promise.all(stopped)
    test.equal(master.workerPids, [])
    test.equal((await master.database.tasks.findOne({ _id: running }))?.state, 'waiting')
    await Promise.all([master.call('initialize'), master.call('stop'), master.call('initialize')])
    await master.held(running, 2)
    await master.call('release', running)
    test.equal((await master.ending(waiting)).value, { a: 1 })
  })
})

for (const when of ['at once', 'after its jobs were aborted']) {
  Tinytest.addAsync(`stop - a second stop never lengthens the first: ${when}`, async test => {
    await withWork({ options: { abortGrace: 500 } }, 'outliveAbort', async (master, running) => {
      const stopped = [master.call('stop', { timeout: 100 })]
      if (when !== 'at once') await master.written(/was aborted/)
      stopped.push(master.call('stop', { timeout: 3_600_000 }))
      await Promise.all(stopped)
      test.equal((await master.database.tasks.findOne({ _id: running }))?.state, 'waiting')
    })
  })
}

Tinytest.addAsync('stop - what is claimed while it begins is released, as if it had not been', async test => {
  const options = { workerConcurrency: 4, maxAvailableWorkers: 1, leaseDuration: 600_000, refreshRate: 3_600_000 }
  await behindGate(options, async (master, gate) => {
    const { tasks } = master.database
    await master.workersAre(1)
    await master.resultOf({ taskType: 'echo', data: {} })
    gate.holdUpAnswersToUpdates()
    const hold = { taskType: 'hold', data: {} }
    await master.call('addTasks', [hold, hold, hold, hold])
    await eventually('all are claimed', async () => (await tasks.countDocuments({ state: 'running' })) === 4)
    const stopped = master.call('stop', { timeout: 0 })
    await master.workersAre(0)
    gate.reopen()
    await stopped
    const left = await tasks.find().toArray()
    test.equal(
      left.map(({ state, attempts }) => [state, attempts]),
      left.map(({ _id }) => ['waiting', runsOf(master, _id)]),
    )
  })
})

Tinytest.addAsync('stop - a timeout that is none is an error', async test => {
  await withMaster({}, async master => {
    try {
      await master.call('stop', { timeout: -1 })
      test.fail('it was accepted')
    } catch (error) {
      test.matches((error as Error).message, /stop: timeout.* is -1/)
    }
    test.equal(await master.resultOf({ taskType: 'echo', data: { a: 1 } }), { a: 1 })
  })
})

Tinytest.addAsync(
  'stop - in production SIGTERM lets running jobs end, and then ends the process (invariant 4)',
  async test => {
    await withDatabase(async database => {
      await withWork({ database, env: PRODUCTION }, 'hold', async (master, running, waiting) => {
        process.kill(master.pid, 'SIGTERM')
        await master.written(/SIGTERM: running jobs have 8000 ms to end/)
        await master.call('release', running, 'in time')
        test.equal((await master.ending(running)).value, 'in time')
        await master.exited()
        test.equal(
          (await database.tasks.find().toArray()).map(task => [task._id, task.state]),
          [[waiting, 'waiting']],
        )
      })
    })
  },
)

Tinytest.addAsync('stop - in production a second signal does not wait', async test => {
  await withWork({ env: PRODUCTION }, 'hold', async master => {
    process.kill(master.pid, 'SIGTERM')
    await master.written(/SIGTERM: running jobs have/)
    process.kill(master.pid, 'SIGINT')
    await master.exited()
    test.isTrue(master.hasExited)
  })
})

Tinytest.addAsync('stop - in development the process ends at once, and its tasks are released', async test => {
  await withDatabase(async database => {
    await withWork({ database, env: { NODE_ENV: 'development' } }, 'stubborn', async (master, running, waiting) => {
      process.kill(master.pid, 'SIGTERM')
      await master.exited()
      const tasks = await database.tasks.find().sort({ priority: -1 }).toArray()
      test.equal(
        tasks.map(({ _id, state, crashes }) => [_id, state, crashes]),
        [
          [running, 'waiting', undefined],
          [waiting, 'waiting', undefined],
        ],
      )
    })
  })
})

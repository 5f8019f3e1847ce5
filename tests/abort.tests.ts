import { Tinytest } from 'meteor/tinytest'
import type { RemoteMaster } from './support/remote-master'
import { ticks } from './support/ticks'
import { sharedMaster, withDatabase, withMaster } from './support/remote-master'

const QUICK = { abortGrace: 100 }

async function aborted(master: RemoteMaster, _id: string, reason: string): Promise<void> {
  await master.written(new RegExp(`${_id} was aborted: ${reason}`))
}

for (const inMemory of [false, true]) {
  const where = inMemory ? 'in-memory' : 'persistent'

  Tinytest.addAsync(`timeout - ${where}: an attempt that takes too long is aborted, and fails`, async test => {
    const master = await sharedMaster()
    const { event, value } = await master.run({ taskType: 'timedOut', data: {}, inMemory })
    test.equal([event, (value as Error).name], ['error', 'TaskTimeoutError'])
    test.matches((value as Error).message, /timeout of 50 ms/)
    await master.written(/was aborted: TaskTimeoutError ERR_CLUSTER_TASK_TIMEOUT/)
  })

  Tinytest.addAsync(`cancel - ${where}: a running task is aborted, stays cancelled, and can be retried`, async test => {
    const master = await sharedMaster()
    const _id = await master.addTask({ taskType: 'holdUntilAborted', data: {}, inMemory })
    await master.held(_id)
    test.isTrue(await master.call('cancel', _id))
    test.equal((await master.notice('cancelled', ({ task }) => task._id === _id)).task.state, 'cancelled')
    await aborted(master, _id, 'TaskCancelledError ERR_CLUSTER_TASK_CANCELLED')
    test.isFalse(await master.call('cancel', _id))
    const kept = await master.find(_id, inMemory)
    test.equal(kept?.state, 'cancelled')
    test.isTrue(await master.call('retry', _id))
    await master.held(_id, 2)
    test.isTrue(await master.call('cancel', _id))
    await aborted(master, _id, 'TaskCancelledError')
    await ticks(master.database)
    // Told once each time, however it is found out.
    test.equal(master.notices('cancelled').filter(({ task }) => task._id === _id).length, 2)
    test.isFalse(master.notices('stalled').some(({ task }) => task._id === _id))
    test.isFalse(master.endings.some(({ task }) => task._id === _id))
  })

  Tinytest.addAsync(`cancel - ${where}: a task that waits is not started`, async test => {
    const master = await sharedMaster()
    const dueDate = new Date(Date.now() + 3_600_000)
    const _id = await master.addTask({ taskType: 'echo', data: {}, dueDate, inMemory })
    test.isTrue(await master.call('cancel', _id))
    test.equal((await master.notice('cancelled', ({ task }) => task._id === _id)).task.state, 'cancelled')
    test.isTrue(await master.call('retry', _id))
    test.equal((await master.ending(_id)).event, 'done')
  })
}

Tinytest.addAsync('timeout - a job that does not listen is killed, and its worker replaced', async test => {
  await withMaster({ options: QUICK }, async master => {
    const { event, value, task } = await master.run({ taskType: 'stubborn', data: {}, timeout: 50 })
    test.equal([event, (value as Error).name, task.crashes], ['error', 'TaskTimeoutError', undefined])
    const blocking = { taskType: 'block', data: { milliseconds: 3_600_000 } }
    test.equal(((await master.run({ ...blocking, timeout: 50 })).value as Error).name, 'TaskTimeoutError')
    test.equal(await master.resultOf({ taskType: 'echo', data: { a: 1 } }), { a: 1 })
  })
})

Tinytest.addAsync('timeout - an attempt that timed out may be tried again', async test => {
  await withMaster({ options: QUICK }, async master => {
    const _id = await master.addTask({ taskType: 'stubborn', data: {}, timeout: 50, retries: 1, backoff: 1 })
    test.equal((await master.ending(_id)).task.failures, 2)
    test.equal(master.notices('retry').length, 1)
  })
})

Tinytest.addAsync('timeout - a worker that is stopped keeps its job until the timeout', async test => {
  await withMaster({ options: QUICK }, async master => {
    const _id = await master.addTask({ taskType: 'hold', data: {}, timeout: 1000 })
    process.kill(await master.held(_id), 'SIGSTOP')
    const { event, value } = await master.ending(_id)
    test.equal([event, (value as Error).name], ['error', 'TaskTimeoutError'])
    test.equal(master.notices('stalled').length, 0)
  })
})

Tinytest.addAsync('timeout - a job that ends well after all has succeeded', async test => {
  const master = await sharedMaster()
  test.equal(await master.resultOf({ taskType: 'endsLate', data: {}, timeout: 50 }), 'ended late')
})

Tinytest.addAsync('cancel - a task that runs on another master is aborted there', async test => {
  await withDatabase(async database => {
    await withMaster({ database }, async running => {
      const _id = await running.addTask({ taskType: 'holdUntilAborted', data: {} })
      await running.held(_id)
      await withMaster({ database, options: { autoInitialize: false } }, async web => {
        test.isTrue(await web.call('cancel', _id))
        await aborted(running, _id, 'TaskCancelledError')
        await running.notice('cancelled', ({ task }) => task._id === _id)
        test.equal(web.notices('cancelled').length, 0)
      })
    })
  })
})

Tinytest.addAsync('cancel - a task that is cancelled in a worker waits for no tick', async test => {
  const options = { refreshRate: 3_600_000, keepAlive: 'always', maxAvailableWorkers: 2 } as const
  await withMaster({ options }, async master => {
    const _id = await master.addTask({ taskType: 'holdUntilAborted', data: {} })
    await master.held(_id)
    test.isTrue(await master.resultOf({ taskType: 'cancel', data: { _id } }))
    await aborted(master, _id, 'TaskCancelledError')
    await master.notice('cancelled', ({ task }) => task._id === _id)
  })
})

Tinytest.addAsync('cancel - a job that does not listen is killed, and its worker replaced', async test => {
  await withMaster({ options: QUICK }, async master => {
    const _id = await master.addTask({ taskType: 'stubborn', data: {} })
    const pid = await master.held(_id)
    await master.call('cancel', _id)
    const next = (await master.resultOf({ taskType: 'process', data: {} })) as { pid: number }
    test.notEqual(next.pid, pid)
    test.equal((await master.database.tasks.findOne({ _id }))?.state, 'cancelled')
  })
})

Tinytest.addAsync('cancel - an in-memory task leaves the persistent one with the same _id alone', async test => {
  await withMaster({}, async master => {
    const _id = await master.addTask({ taskType: 'hold', data: {} })
    await master.held(_id)
    await master.addTask({ taskType: 'echo', data: {}, _id, inMemory: true })
    test.isTrue(await master.call('cancel', _id))
    await master.notice('cancelled', ({ task }) => task.taskType === 'echo')
    await master.call('release', _id, 'as if nothing had happened')
    test.equal((await master.ending(_id)).value, 'as if nothing had happened')
  })
})

Tinytest.addAsync('cancel - what is no _id, or no task that could be cancelled, is said to be so', async test => {
  const master = await sharedMaster()
  test.isFalse(await master.call('cancel', 'there is no such task'))
  for (const method of ['cancel', 'retry'] as const) {
    try {
      await master.call(method, '')
      test.fail('it was accepted')
    } catch (error) {
      test.equal((error as Error).name, 'InvalidArgumentError')
    }
  }
})

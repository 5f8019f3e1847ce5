import { Tinytest } from 'meteor/tinytest'
import { sharedMaster, withMaster } from './support/remote-master'
import { eventually } from './support/wait'

for (const inMemory of [false, true]) {
  const where = inMemory ? 'retries - in-memory' : 'retries - persistent'

  Tinytest.addAsync(`${where}: a task that fails is tried again, and told of, until it succeeds`, async test => {
    const master = await sharedMaster()
    const _id = await master.addTask({ taskType: 'failUntil', data: { attempt: 3 }, retries: 2, backoff: 1, inMemory })
    test.equal((await master.ending(_id)).value, 3)
    const retries = master.notices('retry').filter(({ task }) => task._id === _id)
    test.equal(
      retries.map(({ task }) => [task.attempts, task.failures, task.state, task.error?.message]),
      [
        [1, 1, 'scheduled', 'attempt 1 failed'],
        [2, 2, 'scheduled', 'attempt 2 failed'],
      ],
    )
  })

  Tinytest.addAsync(`${where}: the last attempt ends in an error, and the task stays, failed`, async test => {
    const master = await sharedMaster()
    const options = { retries: 1, backoff: { type: 'fixed', delay: 1 } as const }
    const _id = await master.addTask({ taskType: 'failUntil', data: { attempt: 9 }, ...options, inMemory })
    const { event, value, task } = await master.ending(_id)
    test.equal([event, (value as Error).message], ['error', 'attempt 2 failed'])
    test.equal([task.state, task.attempts, task.failures], ['failed', 2, 2])
    const kept = await master.find(_id, inMemory)
    test.equal([kept?.state, kept?.attempts, kept?.failures], ['failed', 2, 2])
  })

  Tinytest.addAsync(
    `${where}: a failed task that is retried by hand starts anew, and its attempts count on`,
    async test => {
      const master = await sharedMaster()
      const _id = await master.addTask({ taskType: 'failUntil', data: { attempt: 2 }, inMemory })
      test.equal((await master.ending(_id)).event, 'error')
      test.isTrue(await master.call('retry', _id))
      await master.notice('done', ({ task }) => task._id === _id)
      test.isFalse(await master.call('retry', _id))
    },
  )

  Tinytest.addAsync(`${where}: a RetryLaterError requeues the task, and no failure is counted`, async test => {
    const master = await sharedMaster()
    const _id = await master.addTask({ taskType: 'postponeUntil', data: { attempt: 3, delay: 1 }, inMemory })
    const { event, value, task } = await master.ending(_id)
    test.equal([event, value, task.attempts, task.failures], ['done', 3, 3, undefined])
    test.equal(
      master.notices('retry').filter(notice => notice.task._id === _id),
      [],
    )
    await master.written(new RegExp(`postponeUntil:${_id}\tasked for another attempt in 0.001 s`))
    const now = await master.resultOf({ taskType: 'postponeUntil', data: { attempt: 2, delay: 0 }, inMemory })
    test.equal(now, 2)
    test.equal(await master.resultOf({ taskType: 'postponeByCode', data: {}, inMemory }), 2)
  })

  Tinytest.addAsync(`${where}: a task waits as long as its RetryLaterError asks`, async test => {
    const master = await sharedMaster()
    const delay = 3_600_000
    const _id = await master.addTask({ taskType: 'postponeUntil', data: { attempt: 2, delay }, inMemory })
    await eventually('it is put off', async () => (await master.find(_id, inMemory))?.state === 'scheduled')
    const kept = await master.find(_id, inMemory)
    test.isTrue(Math.abs(Number(kept?.dueDate) - Date.now() - delay) < 60_000)
    if (inMemory) await master.call('removeById', _id)
    else await master.database.tasks.deleteOne({ _id })
  })

  Tinytest.addAsync(`${where}: a RetryLaterError without a delay is an error like any other`, async test => {
    const master = await sharedMaster()
    const { event, task } = await master.run({ taskType: 'postponeWrongly', data: {}, inMemory })
    test.equal([event, task.failures], ['error', 1])
  })

  Tinytest.addAsync(`${where}: a TaskFatalError ends the task without retries, by the given error`, async test => {
    const master = await sharedMaster()
    const own = await master.run({ taskType: 'failFatally', data: {}, inMemory })
    const { name, message, code } = own.value as Error & { code: string }
    test.equal(
      [own.event, own.task.attempts, name, message, code],
      ['error', 1, 'TaskFatalError', 'the card was refused', 'ERR_CLUSTER_TASK_FATAL'],
    )
    const given = await master.run({ taskType: 'failFatally', data: { withError: true }, inMemory })
    test.equal([(given.value as Error).name, (given.value as Error).message], ['RangeError', 'the given error'])
  })

  Tinytest.addAsync(`${where}: a task waits for its backoff`, async test => {
    const master = await sharedMaster()
    const delay = 3_600_000
    const _id = await master.addTask({
      taskType: 'failUntil',
      data: { attempt: 2 },
      retries: 1,
      backoff: delay,
      inMemory,
    })
    const { task } = await master.notice('retry', notice => notice.task._id === _id)
    const kept = await master.find(_id, inMemory)
    test.equal(kept?.state, 'scheduled')
    test.isTrue(Math.abs(Number(kept?.dueDate) - Date.now() - delay) < 60_000)
    test.isTrue(Math.abs(Number(task.dueDate) - Date.now() - delay) < 60_000)
    if (inMemory) await master.call('removeById', _id)
    else await master.database.tasks.deleteOne({ _id })
  })
}

Tinytest.addAsync('retries - a task type has retries of its own, and a function for their pauses', async test => {
  const master = await sharedMaster()
  const _id = await master.addTask({ taskType: 'failUntilByType', data: { attempt: 3 } })
  test.equal((await master.ending(_id)).value, 3)
  const fewer = await master.addTask({ taskType: 'failUntilByType', data: { attempt: 3 }, retries: 1 })
  test.equal((await master.ending(fewer)).event, 'error')
})

Tinytest.addAsync('retries - a backoff that throws costs the task nothing but the default pause', async test => {
  const master = await sharedMaster()
  const _id = await master.addTask({ taskType: 'throwingBackoff', data: { attempt: 2 } })
  await master.written(new RegExp(`throwingBackoff:${_id}\tbackoff threw: the backoff threw`))
  test.equal((await master.ending(_id)).value, 2)
})

Tinytest.addAsync('retries - a job knows its attempt and a token that no other run has', async test => {
  const master = await sharedMaster()
  const first = (await master.resultOf({ taskType: 'context', data: {} })) as { token: string }
  const second = (await master.resultOf({ taskType: 'context', data: {}, inMemory: true })) as { token: string }
  test.equal(first, { attempt: 1, token: first.token, aborted: false })
  test.equal(second, { attempt: 1, token: second.token, aborted: false })
  test.notEqual(first.token, second.token)
})

Tinytest.addAsync('retries - crashes count apart from failures', async test => {
  await withMaster({ options: { maxCrashes: 3 } }, async master => {
    const _id = await master.addTask({ taskType: 'hold', data: {} })
    process.kill(await master.held(_id), 'SIGKILL')
    await master.held(_id, 2)
    const task = await master.database.tasks.findOne({ _id })
    test.equal([task?.attempts, task?.crashes, task?.failures], [2, 1, undefined])
    await master.call('release', _id)
    test.equal((await master.ending(_id)).event, 'done')
  })
})

Tinytest.addAsync('retries - failed and cancelled tasks are removed after keepFailed', async test => {
  await withMaster({ options: { keepFailed: 1 } }, async master => {
    const failed = await master.addTask({ taskType: 'failUntil', data: { attempt: 9 } })
    const inMemory = await master.addTask({ taskType: 'failUntil', data: { attempt: 9 }, inMemory: true })
    const later = { taskType: 'echo', data: {}, dueDate: new Date(Date.now() + 3_600_000) }
    const cancelled = await master.addTask(later)
    test.isTrue(await master.call('cancel', cancelled))
    test.equal((await master.ending(failed)).event, 'error')
    test.equal((await master.ending(inMemory)).event, 'error')
    const kept = await master.database.tasks.findOne({ _id: failed })
    test.isTrue(kept === null || kept.removeAt instanceof Date)
    await eventually('it is gone from memory', async () => (await master.call('findById', inMemory)) === undefined)
  })
})

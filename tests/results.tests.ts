import type { NewTask } from 'meteor/nschwarz:cluster'
import { Tinytest, type TestCaseResults } from 'meteor/tinytest'
import { createLog } from '../common/log'
import { createTask } from '../common/task'
import { Admission } from '../server/master/claims/admission'
import { Claims } from '../server/master/claims/claims'
import { Outage } from '../server/master/outage'
import type { MongoClaims } from '../server/queue/mongo/claims/claim'
import { Waiters } from '../server/queue/results/waiters'
import { behindCommandGate } from './support/behind-command-gate'
import { type Command, CommandGate } from './support/command-gate'
import { RUNNING_HOOK_VARIABLE } from './support/remote-protocol'
import { type RemoteMaster, behindGate, sharedMaster, withDatabase, withMaster } from './support/remote-master'
import { QUEUES, cancelledEvents } from './support/queues'
import { later, refused } from './support/refused'
import { eventually } from './support/wait'

const WEB_ONLY = { withoutCluster: true } as const
const DAY = 24 * 3_600_000
const TOMORROW = { taskType: 'echo', data: {}, dueDate: new Date(Date.now() + DAY) }

/** Milliseconds between the end of a persistent task and its removal; undefined if it is kept for good. */
async function keptFor(master: RemoteMaster, _id: string): Promise<number | undefined> {
  const task = await master.database.tasks.findOne({ _id })
  return task?.removeAt === undefined ? undefined : Number(task.removeAt) - Number(task.endedAt)
}

/** Runs a task that is not due yet. @returns when it is in the queue */
async function waitForLater(master: RemoteMaster, task: NewTask & { _id: string }): Promise<{ end: Promise<unknown> }> {
  const end = later(master.call('run', task))
  const find = () => master.find(task._id, task.inMemory === true)
  await eventually('it is there', async () => (await find()) !== undefined)
  return { end }
}

/** A second process of the application, on the database of the first. */
function beside(
  master: RemoteMaster,
  options: object,
  run: (other: RemoteMaster) => Promise<void>,
  env: NodeJS.ProcessEnv = {},
): Promise<void> {
  return withMaster({ database: master.database, options, env }, run)
}

for (const { kind, inMemory } of QUEUES) {
  const where = `results - ${kind}`

  Tinytest.addAsync(`${where}: run adds a task and resolves to its result`, async test => {
    const master = await sharedMaster()
    const data = { at: new Date(5), list: [1, null] }
    test.equal(await master.call('run', { taskType: 'echo', data, inMemory }), data)
    test.isUndefined(await master.call('run', { taskType: 'nothing', data: {}, inMemory }))
  })

  Tinytest.addAsync(`${where}: run rejects with the error of the task, of the same class`, async test => {
    const master = await sharedMaster()
    const own = await master.call('errorOfRun', { taskType: 'fail', data: { message: 'broken' }, inMemory })
    test.equal([own.message, own.cause], ['broken', 'the reason'])
    test.equal((own.fields as { code: string }).code, 'E_APPLICATION')
    const ofMeteor = await master.call('errorOfRun', { taskType: 'failWithMeteorError', data: {}, inMemory })
    const { error, reason, details } = ofMeteor.fields as Record<string, unknown>
    test.equal([error, reason, details], ['no-funds', 'The card was refused', 'card 7'])
    test.isTrue(ofMeteor.classes.includes('Error') && ofMeteor.classes.length > 2, String(ofMeteor.classes))
    const timedOut = await master.call('errorOfRun', { taskType: 'timedOut', data: {}, inMemory })
    test.equal(timedOut.classes[0], 'TaskTimeoutError')
    const fatal = await master.call('errorOfRun', { taskType: 'failFatally', data: {}, inMemory })
    test.equal(fatal.classes[0], 'TaskFatalError')
  })

  Tinytest.addAsync(`${where}: run waits for the attempt that succeeds`, async test => {
    const master = await sharedMaster()
    const task = { taskType: 'failUntil', data: { attempt: 3 }, retries: 2, backoff: 1, inMemory }
    test.equal(await master.call('run', task), 3)
    test.equal(await master.call('run', { taskType: 'postponeUntil', data: { attempt: 2, delay: 1 }, inMemory }), 2)
  })

  Tinytest.addAsync(`${where}: run with an _id joins the task that has it, which runs once`, async test => {
    const master = await sharedMaster()
    const _id = `joined-${kind}`
    const task = { taskType: 'holdThenTellAttempt', data: {}, _id, inMemory }
    const waiting = [master.call('run', task), master.call('run', task)]
    await master.held(_id)
    waiting.push(master.call('result', _id))
    test.isTrue(await master.call('release', _id))
    test.equal(await Promise.all(waiting), [1, 1, 1])
    test.equal(await master.call('run', task), 1, 'its result is kept for a while')
    test.equal(master.notices('held').filter(({ taskId }) => taskId === _id).length, 1)
    await refused(test, master.call('run', { ...task, taskType: 'echo' }), 'DuplicateTaskError')
  })

  Tinytest.addAsync(
    `${where}: a joined task that has failed rejects with its error, and is not run again`,
    async test => {
      const master = await sharedMaster()
      const task = { taskType: 'failUntil', data: { attempt: 2 }, keepDone: DAY, _id: `failed-${kind}`, inMemory }
      await refused(test, master.call('run', task), 'Error', /attempt 1 failed/)
      await refused(test, master.call('run', task), 'Error', /attempt 1 failed/)
      await refused(test, master.call('result', task._id), 'Error', /attempt 1 failed/)
      test.isTrue(await master.call('retry', task._id))
      test.equal(await master.call('result', task._id), 2)
    },
  )

  Tinytest.addAsync(`${where}: a task that is cancelled rejects its waiters`, async test => {
    const master = await sharedMaster()
    const _id = `cancelled-${kind}`
    const waiting = await waitForLater(master, { ...TOMORROW, _id, inMemory })
    test.isTrue(await master.call('cancel', _id))
    await refused(test, waiting.end, 'TaskCancelledError')
    const running = `running-${kind}`
    const ofRunning = later(master.call('run', { taskType: 'outliveAbort', data: {}, _id: running, inMemory }))
    await master.held(running)
    test.isTrue(await master.call('cancel', running))
    await master.call('release', running)
    await refused(test, ofRunning, 'TaskCancelledError')
  })

  Tinytest.addAsync(
    `${where}: the signal of run cancels the task that it has added, and of result only the waiting`,
    async test => {
      const master = await sharedMaster()
      const _id = `aborted-${kind}`
      const later = { taskType: 'echo', data: {}, dueDate: new Date(Date.now() + DAY), inMemory }
      await master.addTask({ ...later, _id })
      await refused(test, master.call('result', _id, { abortAfter: 20 }), 'Error', /aborted by the test/)
      await refused(test, master.call('run', { ...later, _id }, { abortAfter: 20 }), 'Error', /aborted by the test/)
      test.equal((await master.find(_id, inMemory))?.state, 'scheduled', 'it was only joined')
      test.isTrue(await master.call('cancel', _id))
      const own = `own-${kind}`
      await refused(
        test,
        master.call('run', { ...later, _id: own }, { abortAfter: 20 }),
        'Error',
        /aborted by the test/,
      )
      test.equal((await master.find(own, inMemory))?.state, 'cancelled')
      test.equal(cancelledEvents(master, own), 1)
      await refused(test, master.call('run', { ...later, _id: `never-${kind}` }, { abortAfter: -1 }), 'Error', /./)
    },
  )

  Tinytest.addAsync(`${where}: a timeout ends the waiting, and the task goes on`, async test => {
    const master = await sharedMaster()
    const _id = `slow-${kind}`
    const task = { taskType: 'holdThenTellAttempt', data: {}, _id, inMemory }
    await refused(test, master.call('run', task, { timeout: 20 }), 'WaitTimeoutError', new RegExp(_id))
    await master.held(_id)
    const waiting = later(master.call('result', _id))
    await master.call('release', _id)
    test.equal(await waiting, 1)
  })

  Tinytest.addAsync(`${where}: a task that is removed, or is not there, is a TaskRemovedError`, async test => {
    const master = await sharedMaster()
    await refused(test, master.call('result', 'unheard of'), 'TaskRemovedError', /"unheard of"/)
    const _id = `removed-${kind}`
    const waiting = await waitForLater(master, { ...TOMORROW, _id, inMemory })
    if (inMemory) await master.call('removeById', _id)
    else await master.call('remove', _id)
    await refused(test, waiting.end, 'TaskRemovedError')
  })

  Tinytest.addAsync(`${where}: a waiter does not take a task that replaced its own for that`, async test => {
    const master = await sharedMaster()
    const task = { ...TOMORROW, _id: `replaced-${kind}`, inMemory }
    const waiting = await waitForLater(master, task)
    await master.call('replace', { ...task, data: { another: true }, dueDate: undefined })
    await refused(test, waiting.end, 'TaskRemovedError')
  })

  Tinytest.addAsync(
    `${where}: a result that data could not hold fails an awaited task, without retries`,
    async test => {
      const master = await sharedMaster()
      for (const taskType of ['asMap', 'asError']) {
        const task = { taskType, data: {}, retries: 3, backoff: 1, inMemory }
        test.equal((await master.run(task)).event, 'done', 'nobody waits')
        await refused(
          test,
          master.call('run', task),
          'UnsendableValueError',
          /allowed: null, booleans, .* at most 1 MB/,
        )
      }
      const large = { taskType: 'bytes', data: { bytes: 2 ** 20 }, inMemory }
      await refused(test, master.call('run', large), 'UnsendableValueError', /1 MB/)
      test.equal(String(await master.call('run', { ...large, data: { bytes: 2 ** 20 - 100 } })).length, 2 ** 20 - 100)
    },
  )

  Tinytest.addAsync(
    `${where}: somebody who waits for an unsuitable result late gets an error, and the task is done`,
    async test => {
      const master = await sharedMaster()
      const _id = await master.addTask({ taskType: 'holdThenMap', data: {}, inMemory })
      await master.held(_id)
      const waiting = later(master.call('result', _id))
      await eventually('it is marked', async () => (await master.find(_id, inMemory))?.awaited === 'result')
      await master.call('release', _id)
      await refused(test, waiting, 'UnsendableValueError')
      test.equal((await master.ending(_id)).event, 'done')
    },
  )

  Tinytest.addAsync(`${where}: keepDone keeps a done task with its result, and its _id taken`, async test => {
    const master = await sharedMaster()
    const task = { taskType: 'inPlain', data: {}, keepDone: DAY, _id: `kept-${kind}`, inMemory }
    const before = Date.now()
    await master.run(task)
    const kept = await master.find(task._id, inMemory)
    const { bytes: _bytes, ...result } = kept?.result as Record<string, unknown>
    test.equal(JSON.stringify(result), '{"at":"1970-01-01T00:00:00.007Z","list":[null,1.5]}')
    test.equal(kept?.state, 'done')
    const [startedAt, endedAt] = [Number(new Date(kept?.startedAt ?? 0)), Number(new Date(kept?.endedAt ?? 0))]
    test.isTrue(startedAt >= before - 1000 && endedAt >= startedAt && endedAt < Date.now() + 60_000)
    await refused(test, master.addTask(task), 'DuplicateTaskError')
    await refused(test, master.call('addTasks', [task]), 'DuplicateTaskError')
    test.equal(await master.call('run', task), await master.call('result', task._id))
    const ofType = await master.addTask({ taskType: 'keptByType', data: { a: 1 }, inMemory })
    await master.ending(ofType)
    test.equal(await master.call('result', ofType), { a: 1 })
    test.isFalse(await master.call('retry', ofType), 'it has not failed')
    test.isFalse(await master.call('cancel', ofType), 'it has ended')
  })

  Tinytest.addAsync(`${where}: a task that is kept for its waiters only gives up its _id`, async test => {
    const master = await sharedMaster()
    const task = { taskType: 'echo', data: { a: 1 }, _id: `free-${kind}`, inMemory }
    test.equal(await master.call('run', task), { a: 1 })
    await master.addTask({ ...task, data: { a: 2 } })
    const isDone = () => master.endings.filter(ending => ending.task._id === task._id).length === 2
    await eventually('the second is done', isDone)
    test.equal(await master.call('run', { ...task, data: { a: 3 } }), { a: 3 }, 'nobody waited for the second')
  })

  Tinytest.addAsync(
    `${where}: an awaited task that fails leaves no failed task for long, unless keepFailed says so`,
    async test => {
      const master = await sharedMaster()
      const failed = { taskType: 'failUntil', data: { attempt: 9 }, inMemory }
      await refused(test, master.call('run', { ...failed, _id: `gone-${kind}` }), 'Error')
      await refused(test, master.call('run', { ...failed, _id: `stays-${kind}`, keepFailed: DAY }), 'Error')
      await refused(
        test,
        master.call('run', { taskType: 'failKept', data: {}, _id: `typed-${kind}`, inMemory }),
        'Error',
      )
      await master.run({ ...failed, _id: `good-${kind}` })
      if (inMemory) return
      test.equal(await keptFor(master, `gone-${kind}`), 60_000)
      test.equal(await keptFor(master, `stays-${kind}`), DAY)
      test.equal(await keptFor(master, `typed-${kind}`), 3_600_000)
      test.isUndefined(await keptFor(master, `good-${kind}`))
    },
  )

  Tinytest.addAsync(
    `${where}: an awaited task is kept for a minute, whatever its keepDone and keepFailed are`,
    async test => {
      const master = await sharedMaster()
      const task = { taskType: 'echo', data: { a: 1 }, keepDone: 1, _id: `minute-${kind}`, inMemory }
      test.equal(await master.call('run', task), { a: 1 })
      const failing = {
        taskType: 'failUntil',
        data: { attempt: 9 },
        keepFailed: 1,
        _id: `minute-failed-${kind}`,
        inMemory,
      }
      await refused(test, master.call('run', failing), 'Error')
      for (const [_id, state] of [
        [task._id, 'done'],
        [failing._id, 'failed'],
      ] as const) {
        test.equal((await master.find(_id, inMemory))?.state, state)
        if (!inMemory) test.equal(await keptFor(master, _id), 60_000)
      }
    },
  )
}

Tinytest.addAsync('results - a task that nobody waits for is not kept', async test => {
  const master = await sharedMaster()
  const { task } = await master.run({ taskType: 'echo', data: {} })
  test.equal(await master.find(task._id, false), undefined)
})

Tinytest.addAsync('results - a done task is kept in memory no longer than its keepDone', async () => {
  const master = await sharedMaster()
  const _id = await master.addTask({ taskType: 'keptShortly', data: {}, inMemory: true })
  await master.ending(_id)
  await eventually('it is gone', async () => (await master.find(_id, true)) === undefined)
})

for (const [what, options] of [
  ['a web-only process', WEB_ONLY],
  ['another master', { keepAlive: 'always' }],
] as const) {
  Tinytest.addAsync(`results - ${what} gets the results and errors of tasks that a master runs`, async test => {
    await withMaster({ options: { keepAlive: 'always', refreshRate: 100 } }, async master => {
      await beside(master, { ...options, refreshRate: 100 }, async other => {
        // Only the first has this type.
        const results = await other.call('runAll', [
          { taskType: 'echo', data: { a: 1 } },
          { taskType: 'failUntil', data: { attempt: 2 } },
          { taskType: 'asMap', data: {} },
        ])
        test.equal(results, [{ value: { a: 1 } }, { error: 'Error' }, { error: 'UnsendableValueError' }])
        const ofMeteor = await other.call('errorOfRun', { taskType: 'failWithMeteorError', data: {} })
        test.equal((ofMeteor.fields as { reason: string }).reason, 'The card was refused')
        const own = await other.call('errorOfRun', { taskType: 'fail', data: { message: 'broken' } })
        test.equal(
          [own.message, own.cause, (own.fields as { code: string }).code],
          ['broken', 'the reason', 'E_APPLICATION'],
        )
        const held = await master.addTask({ taskType: 'hold', data: {} })
        const holder = await Promise.race([master.held(held).then(() => master), other.held(held).then(() => other)])
        const waiting = [master.call('result', held), other.call('result', held)]
        await eventually('it is marked', async () => (await master.find(held, false))?.awaited === 'result')
        await holder.call('release', held, 'let go')
        test.equal(await Promise.all(waiting), ['let go', 'let go'])
      })
    })
  })
}

Tinytest.addAsync('results - a change stream tells another process, long before its next look', async test => {
  await withMaster({ options: { keepAlive: 'always' } }, async master => {
    await beside(master, { autoInitialize: false, refreshRate: 3_600_000 }, async web => {
      for (const i of [1, 2, 3]) test.equal(await web.call('run', { taskType: 'echo', data: { i } }), { i })
    })
  })
})

Tinytest.addAsync('results - without change streams, a look at the queue finds the ends', async test => {
  const gate = await CommandGate.open(process.env.MONGO_URL ?? '')
  try {
    // As a standalone server refuses them.
    gate.judge = ({ body, name }) =>
      name === 'aggregate' && JSON.stringify(body.pipeline).includes('$changeStream')
        ? {
            code: 40_573,
            codeName: 'Location40573',
            errmsg: 'The $changeStream stage is only supported on replica sets',
          }
        : 'pass'
    await withDatabase(async database => {
      await withMaster({ database, options: { keepAlive: 'always' } }, async master => {
        await beside(master, WEB_ONLY, web => alone(test, web), { MONGO_URL: gate.urlOf(database.name) })
      })
    })
  } finally {
    await gate.close()
  }
})

async function alone(test: TestCaseResults, web: RemoteMaster): Promise<void> {
  test.equal(await web.call('run', { taskType: 'echo', data: { a: 1 } }), { a: 1 })
  await refused(test, web.call('run', { taskType: 'failUntil', data: { attempt: 9 } }), 'Error', /attempt 1 failed/)
}

Tinytest.addAsync('results - a waiter outlives the death of the master that runs its task', async test => {
  await withDatabase(async database => {
    const options = { keepAlive: 'always', refreshRate: 100, leaseDuration: 3000 } as const
    await withMaster({ database, options: WEB_ONLY }, async web => {
      let waiting: Promise<unknown> | undefined
      await withMaster({ database, options }, async first => {
        waiting = web.call('run', { taskType: 'holdThenTellAttempt', data: {}, _id: 'survivor' })
        await first.held('survivor')
      })
      await withMaster({ database, options }, async second => {
        await second.held('survivor')
        await second.call('release', 'survivor')
        test.equal(await waiting, 2)
      })
    })
  })
})

Tinytest.addAsync(
  'results - the end of a task that runs here is not looked up, even while a feed is open',
  async test => {
    const isFeed = ({ name, body }: Command) => name === 'aggregate' && JSON.stringify(body).includes('"ended"')
    /** A poll looks up the ends of all tasks that are waited for. */
    const looksUpOne = ({ name, body }: Command) => {
      const text = JSON.stringify(body)
      return name === 'find' && text.includes('"isBare"') && !text.includes('"tomorrow"')
    }
    await behindCommandGate(
      () => 'pass',
      { keepAlive: 'always', refreshRate: 100 },
      async (master, gate) => {
        await waitForLater(master, { ...TOMORROW, _id: 'tomorrow' })
        await eventually('a feed is open', () => gate.commands.some(isFeed))
        for (let n = 0; n < 20; n++) await master.call('run', { taskType: 'echo', data: {} })
        test.equal(gate.commands.filter(looksUpOne).length, 0)
      },
    )
  },
)

Tinytest.addAsync('results - no feed is open while all that is waited for runs here', async test => {
  let polls = 0
  const endingsOf = () => {
    polls++
    return Promise.resolve([])
  }
  let isOpen = false
  const feed = { open: () => (isOpen = true), close: () => (isOpen = false) }
  const waiters = new Waiters({ endingsOf }, feed)
  let runsHere = true
  const holds = () => runsHere
  waiters.useMaster({ isRunning: () => true, holds, waitBegins: () => undefined }, 10)
  const wait = waiters.wait(createTask({ taskType: 'echo', data: {} }))
  try {
    wait.taskAdded(false)
    await eventually('it is polled for', () => polls >= 3)
    test.isFalse(isOpen)
    runsHere = false
    await eventually('a feed is open', () => isOpen)
  } finally {
    wait.stop()
  }
})

Tinytest.addAsync('results - setRefreshRate also changes how often those who wait poll', async () => {
  let polls = 0
  const endingsOf = () => {
    polls++
    return Promise.resolve([])
  }
  const waiters = new Waiters({ endingsOf }, { open: () => undefined, close: () => undefined })
  waiters.useMaster({ isRunning: () => true, holds: () => true, waitBegins: () => undefined }, 3_600_000)
  const wait = waiters.wait(createTask({ taskType: 'echo', data: {} }))
  try {
    wait.taskAdded(false)
    waiters.setPollEvery(10)
    await eventually('it is polled for', () => polls >= 3)
  } finally {
    wait.stop()
  }
})

Tinytest.add('results - a fetch in flight may hold a task, and does not count as reporting its end', test => {
  const queue = { claim: () => new Promise(() => undefined) } as unknown as MongoClaims
  const outage = new Outage(createLog('error'), 'renewals')
  const claims = new Claims({ admission: new Admission(new Map()), queue, leaseDuration: 15_000, outage })
  void claims.fetch(1)
  test.equal([claims.holds('elsewhere'), claims.mayHold('elsewhere')], [false, true])
})

Tinytest.addAsync('results - a waiter outlives an outage of the database', async test => {
  await behindGate({ refreshRate: 100 }, async (master, gate) => {
    const waiting = later(master.call('run', { taskType: 'holdThenTellAttempt', data: {}, _id: 'through the outage' }))
    await master.held('through the outage')
    gate.shut()
    await master.call('release', 'through the outage')
    await master.written(/cannot be stored, trying again/)
    gate.reopen()
    test.equal(await waiting, 1)
  })
})

Tinytest.addAsync('results - a task of 2.x is waited for like any other', async test => {
  await withMaster({ options: { keepAlive: 'always', refreshRate: 100 } }, async master => {
    await beside(master, WEB_ONLY, async web => {
      const old = {
        _id: 'old',
        taskType: 'echo',
        data: { a: 1 },
        priority: 1,
        dueDate: new Date(Date.now() + DAY),
        onGoing: false,
      }
      await master.database.tasks.insertOne(old)
      const waiting = later(web.call('result', 'old'))
      await eventually('it is marked', async () => (await master.find('old', false))?.awaited === 'result')
      await master.database.tasks.updateOne({ _id: 'old' }, { $set: { dueDate: new Date() } })
      test.equal(await waiting, { a: 1 })
    })
  })
})

Tinytest.addAsync('results - a startup hook may wait on the master; in a worker it is refused', async test => {
  await withMaster({ env: { [RUNNING_HOOK_VARIABLE]: '1' } }, async master => {
    await master.written(/the hook has xxx/)
    await master.written(/the hook was refused: WrongProcessError/)
    test.equal(await master.call('run', { taskType: 'echo', data: {} }), {})
  })
})

Tinytest.addAsync('results - whoever waits in a web-only process starts no dispatching there', async test => {
  await withMaster({ options: { autoInitialize: false } }, async web => {
    const task = { taskType: 'echo', data: {}, _id: 'waits' }
    await web.addTask(task)
    await refused(test, web.call('run', task, { timeout: 300 }), 'WaitTimeoutError')
    test.equal(await web.database.tasks.countDocuments({ state: 'waiting' }), 1)
  })
})

for (const [what, task] of [
  ['another task', { taskType: 'runOther', data: { taskType: 'text', data: { bytes: 3 } } }],
  [
    'a task that itself waits',
    { taskType: 'runOther', data: { taskType: 'runOther', data: { taskType: 'text', data: { bytes: 3 } } } },
  ],
] as const satisfies readonly (readonly [string, NewTask])[]) {
  Tinytest.addAsync(`results - a job waits for ${what}, on the only slot of the only worker`, async test => {
    await withMaster({ options: { maxAvailableWorkers: 1, workerConcurrency: 1 } }, async master => {
      test.equal(await master.call('run', task), 'xxx')
      test.equal(await master.call('run', task), 'xxx')
    })
  })
}

Tinytest.addAsync('results - a job that waits for many lends one slot, not one for each', async test => {
  await withMaster({ options: { maxAvailableWorkers: 1, workerConcurrency: 1 } }, async master => {
    const ids = ['first', 'second', 'third']
    const others = ids.map(_id => ({ taskType: 'hold', data: {}, _id }))
    const waiting = later(master.call('run', { taskType: 'runOthers', data: others }))
    const released = new Set<string>()
    while (released.size < ids.length) {
      await eventually('the next one runs', () => master.notices('held').length > released.size)
      test.equal(master.notices('held').length, released.size + 1)
      const _id = master.notices('held')[released.size]?.taskId ?? ''
      released.add(_id)
      await master.call('release', _id, _id)
    }
    test.equal(await waiting, ids)
  })
})

Tinytest.addAsync(
  'results - in a job, errors and cancels of the other task arrive, and a wait ends with its job',
  async test => {
    const master = await sharedMaster()
    const failing = { taskType: 'runOther', data: { taskType: 'fail', data: { message: 'deep' } } }
    await refused(test, master.call('run', failing), 'ApplicationError', /deep/)
    const _id = 'a child that goes on'
    const other = { taskType: 'holdUntilAborted', data: {}, _id }
    const timedOut = { taskType: 'runOther', data: other, timeout: 1000 }
    const waiting = later(master.call('run', timedOut))
    await master.held(_id)
    await refused(test, waiting, 'TaskTimeoutError')
    await eventually('its child was cancelled', async () => (await master.find(_id, false))?.state === 'cancelled')
  },
)

Tinytest.addAsync('results - what a job has left behind may not wait any more', async test => {
  const master = await sharedMaster()
  await master.call('run', { taskType: 'runAfterwards', data: {} })
  await master.written(/refused afterwards: WrongProcessError/)
  test.isTrue(true)
})

Tinytest.addAsync('results - in a worker an in-memory task is refused', async test => {
  const master = await sharedMaster()
  const task = { taskType: 'runOther', data: { taskType: 'echo', data: {}, inMemory: true } }
  await refused(test, master.call('run', task), 'WrongProcessError')
})

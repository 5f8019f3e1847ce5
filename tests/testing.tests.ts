/** `testing`: the helpers for the tests of applications. */
import type { NewTask, Task, testing } from 'meteor/nschwarz:cluster'
import { Tinytest } from 'meteor/tinytest'
import { type RemoteMaster, withDatabase, withMaster } from './support/remote-master'
import { QUEUES } from './support/queues'
import { refused } from './support/refused'
import { eventually } from './support/wait'

const OPTIONS = { autoInitialize: false, withLimits: true } as const

type Method = keyof typeof testing

function inMode(
  mode: 'inline' | 'manual',
  run: (master: RemoteMaster, on: (method: Method, ...args: readonly unknown[]) => Promise<unknown>) => Promise<void>,
  withLimits?: true,
): Promise<void> {
  return withMaster({ options: { autoInitialize: false, withLimits } }, async master => {
    await master.call('testing', 'mode', mode)
    await run(master, (method, ...args) => master.call('testing', method, ...args))
  })
}

async function messageOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'no error',
    (error: unknown) => (error as Error).message,
  )
}

for (const { kind, inMemory } of QUEUES) {
  Tinytest.addAsync(`testing - ${kind}: inline, addTask resolves when the task has ended`, async test => {
    await inMode('inline', async master => {
      const ids = await master.call('addTasks', [
        { taskType: 'echo', data: { n: 1 }, inMemory },
        { taskType: 'fail', data: { message: 'broken' }, inMemory },
      ])
      const failed = await master.addTask({
        taskType: 'failUntil',
        data: { attempt: 3 },
        retries: 2,
        backoff: 0,
        inMemory,
      })
      test.equal(
        master.endings.map(({ event, task }) => [event, task._id]).sort(),
        [
          ['done', ids[0]],
          ['done', failed],
          ['error', ids[1]],
        ].sort(),
      )
      test.equal(master.workerPids, [])
      test.equal((await master.ending(ids[0] ?? '')).value, { n: 1 })
    })
  })

  Tinytest.addAsync(`testing - ${kind}: manual, tasks run when drain is called, and what they add too`, async test => {
    await inMode('manual', async (master, on) => {
      const given = { taskType: 'addMany', data: [{ taskType: 'echo', data: { n: 2 } }], inMemory }
      await master.addTask(given)
      await on('drain')
      test.equal(
        master.endings.map(({ task }) => task.taskType),
        ['addMany', 'echo'],
      )
      await master.addTask({ taskType: 'echo', data: { n: 3 }, inMemory })
      test.equal(master.endings.length, 2)
      await on('drain')
      test.equal(master.endings.length, 3)
      test.equal(master.workerPids, [])
    })
  })
}

Tinytest.addAsync('testing - inline, a task that waits for others lends its slot', async test => {
  await inMode('inline', async master => {
    const inner = { taskType: 'echo', data: { n: 1 } }
    const outer = { taskType: 'runOther', data: inner }
    test.equal(await master.call('run', { taskType: 'runOther', data: outer }), { n: 1 })
  })
})

Tinytest.addAsync('testing - a paused type and what is due later are left, and schedules have no ticks', async test => {
  const schedules = { tick: { taskType: 'echo', every: 1000 } }
  await withMaster({ options: { ...OPTIONS, app: 'shop', schedules } }, async master => {
    await master.call('testing', 'mode', 'inline')
    await master.call('pause', 'hold')
    await master.addTask({ taskType: 'hold', data: {} })
    await master.addTask({ taskType: 'echo', data: {}, dueDate: new Date(Date.now() + 3_600_000) })
    test.equal((await master.call('counts')).waiting, 1)
    test.equal((await master.call('counts')).scheduled, 1)
    test.equal(await master.call('schedules'), [])
    await master.call('onSchedule', 'runSchedule', 'tick')
    test.equal(master.endings.length, 1)
  })
})

Tinytest.addAsync('testing - runSchedule uses the schedule of the code, not the one that is stored', async test => {
  await withDatabase(async database => {
    const optionsOf = (n: number) => ({
      app: 'shop',
      schedules: { tick: { taskType: 'echo', data: { n }, every: 3_600_000 } },
    })
    await withMaster({ database, options: optionsOf(1) }, async master => {
      await eventually('it is stored', async () => (await master.call('schedules')).length === 1)
    })
    await withMaster({ database, options: { ...optionsOf(2), autoInitialize: false } }, async master => {
      await master.call('testing', 'mode', 'inline')
      await master.call('onSchedule', 'runSchedule', 'tick')
      test.equal(master.endings[0]?.task.data, { n: 2 })
    })
  })
})

Tinytest.addAsync('testing - perform runs a function as a worker does, outside of the queue', async test => {
  await inMode('manual', async (master, on) => {
    test.equal(await on('perform', 'parsed', { at: '2026-01-01' }), [true, Date.UTC(2026, 0, 1), 1])
    const conversation = { messages: [{ status: 2, data: { ask: 'echo', value: 7 } }] }
    test.equal(await on('perform', 'converse', conversation), 7)
    test.equal([...((await on('perform', 'asMap', {})) as Map<string, number>)], [['key', 1]])
    test.matches(await messageOf(on('perform', 'fail', { message: 'broken' })), /broken/)
    test.matches(await messageOf(on('perform', 'echoo', {})), /no function for the taskType "echoo"/)
    test.matches(await messageOf(on('perform', 'parsed', { at: 5 })), /data\.at\.0: Expected text/)
    test.matches(await messageOf(on('perform', 'echo', 5)), /testing\.perform\.data is 5/)
    test.equal(await master.database.tasks.countDocuments(), 0)
  })
})

Tinytest.addAsync('testing - a job that outlives its timeout is given up, as if its worker was killed', async test => {
  await withMaster({ options: { autoInitialize: false, abortGrace: 20 } }, async master => {
    await master.call('testing', 'mode', 'inline')
    const _id = await master.addTask({ taskType: 'outliveAbort', data: {}, timeout: 20 })
    test.equal(((await master.ending(_id)).value as Error).name, 'TaskTimeoutError')
    test.equal(await master.resultOf({ taskType: 'echo', data: { n: 1 } }), { n: 1 })
  })
})

Tinytest.addAsync(
  'testing - assertAdded finds a task by some of its fields, or lists those that were added',
  async test => {
    await inMode('manual', async (master, on) => {
      await master.addTask({
        taskType: 'echo',
        data: { user: { name: 'ada', age: 36 }, tags: ['a', 'b'] },
        priority: 5,
      })
      const found = await on('assertAdded', { taskType: 'echo', data: { user: { name: 'ada' } } })
      test.equal((found as NewTask).priority, 5)
      for (const data of [{ user: { name: 'bob' } }, { tags: ['a'] }, { user: { nam: 'ada' } }]) {
        test.matches(
          await messageOf(on('assertAdded', { taskType: 'echo', data })),
          /no task like .* was added .*\n {2}echo \{/,
        )
      }
      await on('mode', 'manual')
      test.matches(await messageOf(on('assertAdded', { taskType: 'echo' })), /none was added/)
    })
  },
)

Tinytest.addAsync('testing - waitFor waits until a task has reached a state', async test => {
  await inMode('inline', async (master, on) => {
    const waiting = on('waitFor', { taskType: 'fail' }, 'failed')
    await master.addTask({ taskType: 'fail', data: { message: 'broken' } })
    test.equal(((await waiting) as NewTask).taskType, 'fail')
    const _id = await master.addTask({ taskType: 'echo', data: { n: 1 } })
    test.equal(((await on('waitFor', { _id }, 'done')) as NewTask)._id, _id)
    test.matches(await messageOf(on('waitFor', { taskType: 'echo' }, 'failed', 50)), /became failed within 50 ms/)
  })
})

Tinytest.addAsync('testing - inline, a listener may add a task and await it', async test => {
  await inMode('inline', async (master, on) => {
    await master.call('listen', 'done', 'adding')
    await master.addTask({ taskType: 'echo', data: {} })
    await on('drain')
    await on('waitFor', { taskType: 'nothing' }, 'done')
    test.equal(await master.database.tasks.countDocuments(), 0)
  })
})

Tinytest.addAsync('testing - nothing waits for a cluster that was stopped', async test => {
  await inMode('inline', async (master, on) => {
    await master.call('stop')
    test.matches(await messageOf(master.addTask({ taskType: 'echo', data: {} })), /the cluster does not run/)
    await on('mode', 'inline')
    await on('drain')
    test.equal(master.endings.length, 1)
  })
})

Tinytest.addAsync('testing - what was before the mode, and what was not added, does not count', async test => {
  await inMode('inline', async (master, on) => {
    await master.addTask({ taskType: 'fail', data: { message: 'broken' }, _id: 'taken' })
    await on('mode', 'inline')
    test.matches(await messageOf(on('waitFor', { taskType: 'fail' }, 'failed', 30)), /became failed within 30 ms/)
    const second = { taskType: 'echo', data: { second: true }, _id: 'taken' }
    test.matches(await messageOf(master.addTask(second)), /already in the queue/)
    test.matches(await messageOf(on('assertAdded', { data: { second: true } })), /none was added/)
  })
})

Tinytest.addAsync('testing - drain waits for a job of a type that was paused meanwhile', async test => {
  await withMaster({ options: OPTIONS }, async master => {
    await master.call('testing', 'mode', 'manual')
    const _id = await master.addTask({ taskType: 'hold', data: {} })
    const drained = master.call('testing', 'drain')
    await master.held(_id)
    await master.call('pause', 'hold')
    await master.call('release', _id)
    await drained
    test.equal(
      master.endings.map(({ task }) => task._id),
      [_id],
    )
  })
})

Tinytest.addAsync('testing - real workers are closed when a mode is set', async test => {
  await withMaster({ options: { keepAlive: 'always' } }, async master => {
    await master.resultOf({ taskType: 'echo', data: {} })
    test.equal(master.workerPids.length, 1)
    await master.call('testing', 'mode', 'inline')
    await master.workersAre(0)
    test.equal(await master.resultOf({ taskType: 'echo', data: { n: 1 } }), { n: 1 })
    test.equal(master.workerPids, [])
  })
})

Tinytest.addAsync('testing - outside of tests, without a cluster, or with a wrong mode it is refused', async test => {
  await withMaster({ options: OPTIONS, env: { TEST_METADATA: '{}' } }, async master => {
    test.matches(await messageOf(master.call('testing', 'mode', 'inline')), /testing is for tests/)
  })
  await withMaster({ options: { withoutCluster: true } }, async master => {
    test.matches(await messageOf(master.call('testing', 'mode', 'inline')), /import the module that has `new Cluster/)
  })
  await withMaster({ options: OPTIONS }, async master => {
    test.matches(await messageOf(master.call('testing', 'mode', 'fake')), /testing\.mode is "fake" \(string\); allowed/)
    test.matches(await messageOf(master.call('testing', 'drain')), /call testing\.mode first/)
    for (const [method, args, message] of [
      ['assertAdded', ['echo'], /testing\.assertAdded is "echo"/],
      ['assertAdded', [{ type: 'echo' }], /testing\.assertAdded\.type is no field that is compared.* mean taskType\?/],
      ['waitFor', [{}, 'finished'], /testing\.waitFor: state is "finished"/],
      ['waitFor', [{}, 'done', Number.NaN], /testing\.waitFor: timeout is NaN/],
    ] as const) {
      test.matches(await messageOf(master.call('testing', method, ...args)), message)
    }
  })
})

Tinytest.addAsync(
  'testing - inline, run ends at its timeout, and cancels its task when its signal is aborted',
  async test => {
    await inMode('inline', async master => {
      const task = { taskType: 'holdUntilAborted', data: {} }
      await refused(test, master.call('run', { ...task, _id: 'slow' }, { timeout: 300 }), 'WaitTimeoutError', /slow/)
      await master.call('cancel', 'slow')
      await refused(test, master.call('run', { ...task, _id: 'aborted' }, { abortAfter: 300 }), 'Error', /by the test/)
      await master.notice('cancelled', ended => ended.task._id === 'aborted')
    })
  },
)

Tinytest.addAsync('testing - waitFor gives a done task its state and its result', async test => {
  await inMode('inline', async (master, on) => {
    const _id = await master.addTask({ taskType: 'echo', data: { n: 1 } })
    const { state, result } = (await on('waitFor', { _id }, 'done')) as Task
    test.equal([state, result], ['done', { n: 1 }])
  })
})

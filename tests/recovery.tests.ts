import { Tinytest } from 'meteor/tinytest'
import { isAlive } from './support/processes'
import { RemoteMaster, sharedMaster, withDatabase, withMaster } from './support/remote-master'
import { eventually } from './support/wait'

Tinytest.addAsync(
  'recovery - a worker that is killed gives its task back, and it runs again (invariant 4)',
  async test => {
    await withMaster({}, async master => {
      for (const inMemory of [false, true]) {
        const _id = await master.addTask({ taskType: 'hold', data: {}, inMemory })
        const pid = await master.held(_id)
        process.kill(pid, 'SIGKILL')
        await master.written(
          new RegExp(
            `hold:${_id}\tworker ${String(pid)} died \\(signal SIGKILL\\), retrying in 3 s \\(crash 1 of 3\\)`,
          ),
        )
        test.notEqual(await master.held(_id, 2), pid)
        await master.call('release', _id, 'the second time')
        const { event, value } = await master.ending(_id)
        test.equal([event, value], ['done', 'the second time'])
      }
    })
  },
)

Tinytest.addAsync('recovery - a task that keeps killing its worker is failed in the end (invariant 9)', async test => {
  await withMaster({ options: { maxCrashes: 2 } }, async master => {
    for (const inMemory of [false, true]) {
      const { event, value, task } = await master.run({ taskType: 'die', data: {}, inMemory })
      test.equal([event, (value as Error).name, task.state], ['error', 'WorkerCrashError', 'failed'])
      test.matches(
        (value as Error).message,
        /the worker died while it ran this task \(signal SIGKILL\), crash 2 of 2; the task is not run again/,
      )
      test.equal(master.output.match(new RegExp(`die:${task._id}\tworker \\d+ died .*retrying`, 'g'))?.length, 1)
      test.equal([task.crashes, task.failures], [2, undefined])
    }
    test.equal(await master.resultOf({ taskType: 'echo', data: { a: 1 } }), { a: 1 })
  })
})

Tinytest.addAsync('recovery - the last words of a worker that died are in the error', async test => {
  await withMaster({ options: { maxCrashes: 1 } }, async master => {
    const { value } = await master.run({ taskType: 'sayThenDie', data: {} })
    test.matches((value as Error).message, /Its last lines:\n(.*\n)*first words\nlast words$/)
    test.matches(master.output, /last words/)
  })
})

Tinytest.addAsync(
  'recovery - a master that restarts ends the workers of its former self first (invariant 8)',
  async test => {
    await withDatabase(async database => {
      const former = await RemoteMaster.start({ database })
      try {
        const _id = await former.addTask({ taskType: 'hold', data: {} })
        const worker = await former.held(_id)
        // It can neither notice the end of its master, nor be told.
        process.kill(worker, 'SIGSTOP')
        former.killAlone()
        await eventually('the master is gone', () => !isAlive(former.pid))
        await withMaster({ database }, async restarted => {
          await restarted.held(_id)
          test.isFalse(isAlive(worker))
        })
      } finally {
        await former.stop()
      }
    })
  },
)

Tinytest.addAsync('recovery - a job that had not started counts as no crash (invariant 9)', async test => {
  await withMaster({ options: { maxCrashes: 1, keepAlive: 'always' } }, async master => {
    const { pid } = (await master.resultOf({ taskType: 'process', data: {} })) as { pid: number }
    process.kill(pid, 'SIGSTOP')
    const _id = await master.addTask({ taskType: 'echo', data: { a: 1 } })
    await eventually('it is sent', async () => (await master.database.tasks.countDocuments({ state: 'running' })) === 1)
    process.kill(pid, 'SIGKILL')
    test.equal((await master.ending(_id)).value, { a: 1 })
    await master.written(
      new RegExp(`echo:${_id}\trequeued: its worker died \\(signal SIGKILL\\) before it had started`),
    )
  })
})

Tinytest.addAsync('recovery - an error thrown outside of the task ends the worker, not the master', async test => {
  const master = await sharedMaster()
  const _id = await master.addTask({ taskType: 'throwOutside', data: {} })
  await master.written(new RegExp(`throwOutside:${_id}\tworker \\d+ died \\(exit code 1\\), retrying in 3 s`))
  await master.database.tasks.deleteOne({ _id })
  test.equal(await master.resultOf({ taskType: 'echo', data: { a: 1 } }), { a: 1 })
})

Tinytest.addAsync('recovery - an outcome that was sent before the worker died counts (invariant 4)', async test => {
  await withMaster({}, async master => {
    test.equal(await master.resultOf({ taskType: 'exitAfterwards', data: {} }), 'sent before the exit')
    test.equal(master.endings.length, 1)
    test.notMatches(master.output, /released/)
  })
})

Tinytest.addAsync(
  'recovery - a master that restarts runs its unfinished tasks again from the beginning (invariant 1)',
  async test => {
    await withDatabase(async database => {
      const [running, waiting] = await withRunningTask(database, async (master, _id) => {
        const behind = await master.addTask({ taskType: 'echo', data: { waited: true } })
        await master.kill('SIGKILL')
        return [_id, behind]
      })
      test.equal((await database.tasks.findOne({ _id: running }))?.state, 'running')
      await withMaster({ database }, async restarted => {
        await restarted.held(running)
        await restarted.call('release', running)
        test.equal((await restarted.ending(running)).event, 'done')
        test.equal((await restarted.ending(waiting)).value, { waited: true })
        await restarted.written(/requeued 1 unfinished task of a former master on this machine/)
      })
    })
  },
)

/** A master with one worker, which holds a task. */
async function withRunningTask<Result>(
  database: RemoteMaster['database'],
  test: (master: RemoteMaster, _id: string) => Promise<Result>,
): Promise<Result> {
  const master = await RemoteMaster.start({ database })
  try {
    const _id = await master.addTask({ taskType: 'hold', data: {}, priority: 9 })
    await master.held(_id)
    return await test(master, _id)
  } finally {
    await master.stop()
  }
}

Tinytest.addAsync(
  'recovery - a master that starts leaves the tasks of another live master alone (invariant 5)',
  async test => {
    await withDatabase(async database => {
      await withRunningTask(database, async (first, _id) => {
        await withMaster({ database }, async second => {
          await second.resultOf({ taskType: 'echo', data: {} })
          test.equal((await database.tasks.findOne({ _id }))?.state, 'running')
          test.equal(second.notices('held').length, 0)
          await first.call('release', _id)
          test.equal((await first.ending(_id)).event, 'done')
          test.isFalse(second.endings.some(({ task }) => task._id === _id))
        })
      })
    })
  },
)

Tinytest.addAsync('recovery - a failed task is not run again at a restart', async test => {
  await withDatabase(async database => {
    let failed = ''
    await withMaster({ database }, async master => {
      failed = (await master.run({ taskType: 'fail', data: {} })).task._id
    })
    await withMaster({ database }, async restarted => {
      await restarted.resultOf({ taskType: 'echo', data: {}, priority: -1 })
      test.equal((await database.tasks.findOne({ _id: failed }))?.state, 'failed')
      test.equal(restarted.endings.length, 1)
    })
  })
})

Tinytest.addAsync('recovery - a recurring task goes on after a restart, once', async test => {
  await withDatabase(async database => {
    await withMaster({ database }, async master => {
      await master.addTask({ taskType: 'recurring', data: { left: 1000 } })
      await master.until('it has run a few times', () => master.endings.length >= 3)
    })
    await withMaster({ database }, async restarted => {
      await restarted.until('it has run again', () => restarted.endings.length >= 3)
    })
    test.isTrue((await database.tasks.countDocuments({ taskType: 'recurring' })) <= 2)
  })
})

Tinytest.addAsync('recovery - tasks that 2.3 left behind run, those marked as running included', async test => {
  await withDatabase(async database => {
    const of2x = { taskType: 'echo', priority: 1, createdAt: new Date(1), dueDate: new Date(2) }
    await database.tasks.insertMany([
      { _id: 'waiting', ...of2x, data: { a: 1 }, onGoing: false },
      { _id: 'ongoing', ...of2x, data: { b: 2 }, onGoing: true },
    ])
    await withMaster({ database }, async master => {
      test.equal((await master.ending('waiting')).value, { a: 1 })
      test.equal((await master.ending('ongoing')).value, { b: 2 })
      await database.tasks.insertOne({ _id: 'added later', ...of2x, data: { c: 3 }, onGoing: false })
      test.equal((await master.ending('added later')).value, { c: 3 })
    })
  })
})

Tinytest.addAsync('recovery - a task added before the master started is run at the start (invariant 1)', async test => {
  await withDatabase(async database => {
    await withMaster({ database, options: { autoInitialize: false } }, async web => {
      await web.addTask({ taskType: 'echo', data: { early: true }, _id: 'early' })
      await eventually('it is stored', async () => (await database.tasks.countDocuments({ _id: 'early' })) === 1)
      test.equal(web.workerPids, [])
    })
    await withMaster({ database }, async master => {
      test.equal((await master.ending('early')).value, { early: true })
    })
  })
})

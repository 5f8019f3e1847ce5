/** What users of other queues have reported there, tried here. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Tinytest } from 'meteor/tinytest'
import { toError } from '../common/errors'
import { QUEUES } from './support/queues'
import { refused } from './support/refused'
import { type MasterSettings, type RemoteMaster, withMaster } from './support/remote-master'
import { eventually } from './support/wait'

const ONE_WORKER = { maxAvailableWorkers: 1, keepAlive: 'always', withLimits: true } as const

function withOneWorker(test: (master: RemoteMaster) => Promise<void>, more: MasterSettings['options'] = {}) {
  return withMaster({ options: { ...ONE_WORKER, ...more } }, test)
}

Tinytest.addAsync('reported - workers start in the folder of the server, in which its flags name files', async test => {
  const cwd = mkdtempSync(path.join(tmpdir(), 'cluster-test-'))
  try {
    writeFileSync(path.join(cwd, 'tracing.cjs'), "console.log('it is traced')")
    const NODE_OPTIONS = [process.env.NODE_OPTIONS, '-r ./tracing.cjs'].filter(Boolean).join(' ')
    await withMaster({ cwd, env: { NODE_OPTIONS }, options: ONE_WORKER }, async master => {
      test.equal(await master.resultOf({ taskType: 'echo', data: { n: 1 } }), { n: 1 })
      test.equal(master.output.match(/it is traced/g)?.length, 2)
    })
  } finally {
    rmSync(cwd, { recursive: true })
  }
})

const CHILD = 'child of parent'

/** A job waits for another, as the guide says. */
async function whileChildIsHeld(master: RemoteMaster, more: { readonly timeout?: number } = {}): Promise<void> {
  await master.addTask({ taskType: 'waitForChild', data: {}, _id: 'parent', ...more })
  await master.held(CHILD)
}

async function endsWithItsChild(master: RemoteMaster, runs: number): Promise<unknown> {
  await master.held(CHILD, runs)
  await master.call('release', CHILD)
  return (await master.ending('parent')).value
}

Tinytest.addAsync(
  'reported - a job that waits for another runs again after a stop, and so does the other',
  async test => {
    await withOneWorker(async master => {
      await whileChildIsHeld(master)
      await master.call('stop', { timeout: 100 })
      await master.call('initialize')
      test.equal(await endsWithItsChild(master, 2), 'of the child')
      test.equal(master.notices('cancelled'), [])
    })
  },
)

Tinytest.addAsync('reported - a stop before the other task has started fails no job that waits for it', async test => {
  await withOneWorker(async master => {
    await master.call('pause', 'holdAsChild')
    await master.addTask({ taskType: 'waitForChild', data: {}, _id: 'parent' })
    await eventually('it waits', async () => (await master.find(CHILD, false)) !== undefined)
    await master.call('stop', { timeout: 100 })
    await master.call('resume', 'holdAsChild')
    await master.call('initialize')
    test.equal(await endsWithItsChild(master, 1), 'of the child')
  })
})

Tinytest.addAsync('reported - a job whose attempt timed out runs what it waits for once more', async test => {
  await withOneWorker(async master => {
    await whileChildIsHeld(master, { timeout: 3000 })
    test.equal(await endsWithItsChild(master, 2), 'of the child')
    test.equal(master.notices('retry').length, 1)
  })
})

Tinytest.addAsync('reported - a job that was cancelled while it waited for another can be retried', async test => {
  await withOneWorker(async master => {
    await whileChildIsHeld(master)
    await master.call('cancel', 'parent')
    for (const _id of [CHILD, 'parent']) await master.notice('cancelled', ({ task }) => task._id === _id)
    test.isTrue(await master.call('retry', 'parent'))
    test.equal(await endsWithItsChild(master, 2), 'of the child')
  })
})

Tinytest.addAsync('reported - a failed task of run that fails again is not kept for good', async test => {
  await withOneWorker(async master => {
    const task = { taskType: 'fail', data: { message: 'broken' }, _id: 'twice' }
    await refused(test, master.call('run', task), 'ApplicationError', /broken/)
    test.isTrue(await master.call('retry', 'twice'))
    await eventually('it has failed again', async () => {
      const found = await master.database.tasks.findOne({ _id: 'twice' })
      return found?.state === 'failed' && found.removeAt !== undefined
    })
  })
})

Tinytest.addAsync(
  'reported - listeners and the messageBroker run as nobody, whoever had the worker forked',
  async () => {
    await withOneWorker(
      async master => {
        await master.call('tellUsers')
        for (const _id of ['of ada', 'of bob']) {
          await master.call('addAs', _id.slice(3), { taskType: 'echo', data: {}, _id, inMemory: true })
          await master.ending(_id)
        }
        const asking = { taskType: 'askBroker', data: { ask: 'whoAsks' }, _id: 'of nobody' }
        for (const event of ['added', 'start', 'done']) {
          for (const _id of ['of ada', 'of bob']) await master.written(new RegExp(`${event} ${_id} is heard as nobody`))
        }
        await master.resultOf(asking)
        await master.written(/the broker runs as nobody/)
      },
      { keepAlive: 60_000 },
    )
  },
)

Tinytest.addAsync('reported - errors that come to a worker are of their class', async test => {
  await withOneWorker(async master => {
    test.equal(await master.resultOf({ taskType: 'reasonOfAbort', data: {}, timeout: 50 }), ['TaskTimeoutError', true])
    test.equal(await master.resultOf({ taskType: 'askBroker', data: { ask: 'meteorError' } }), ['Error', true])
  })
  await withOneWorker(
    async master => {
      test.equal(await master.resultOf({ taskType: 'askBroker', data: {} }), ['NoMessageBrokerError', true])
    },
    { withoutBroker: true },
  )
})

for (const { kind, inMemory } of QUEUES) {
  Tinytest.addAsync(`reported - ${kind}: a task that asks for another attempt at once lets others run`, async test => {
    await withOneWorker(async master => {
      const first = await master.addTask({ taskType: 'postponeAtOnce', data: {}, inMemory })
      const second = await master.addTask({ taskType: 'echo', data: {}, inMemory })
      await master.ending(first)
      test.equal(
        master.endings.map(({ task }) => task._id),
        [second, first],
      )
    })
  })

  for (const taskType of ['asInstance', 'asUrl']) {
    Tinytest.addAsync(
      `reported - ${kind}: a result that holds an instance fails an awaited task: ${taskType}`,
      async test => {
        await withOneWorker(async master => {
          const waiting = master.call('run', { taskType, data: {}, inMemory })
          await refused(test, waiting, 'UnsendableValueError', /it holds an instance of (Money|URL)/)
          test.equal((await master.run({ taskType, data: {}, inMemory })).event, 'done')
        })
      },
    )
  }
}

Tinytest.addAsync('reported - a Meteor.Error keeps its cause, its code and its own fields', async test => {
  await withOneWorker(async master => {
    const { value } = await master.run({ taskType: 'failWithRichMeteorError', data: {} })
    const { cause, code, details, reason, retryAfter } = value as Record<string, unknown>
    test.equal(
      [(cause as Error).message, code, details, reason, retryAfter],
      ['the cause', 'E_CARD', 'card 7', 'refused', 30],
    )
  })
})

Tinytest.addAsync('reported - a plain object that is thrown has its message and its code', async test => {
  await withOneWorker(async master => {
    const _id = await master.addTask({ taskType: 'failWithPlainObject', data: {} })
    const { value } = await master.ending(_id)
    const { message, code, cause } = value as Error & { readonly code?: unknown }
    test.equal([message, code, cause], ['card refused', 'E_CARD', { message: 'card refused', code: 'E_CARD' }])
    test.equal((await master.find(_id, false))?.error?.message, 'card refused')
  })
})

Tinytest.add('reported - what a thrown object has in place of the fields of an error does not count', test => {
  const { message, name, stack } = toError({ message: 5, name: '', stack: {}, code: {} })
  test.equal([message, name, typeof stack], ['an object', 'Error', 'string'])
})

Tinytest.addAsync(
  'reported - a run with a past due date outside of jobs does not come before in-memory tasks',
  async test => {
    await withOneWorker(async master => {
      const holding = await master.addTask({ taskType: 'hold', data: {} })
      await master.held(holding)
      await master.addTask({ taskType: 'echo', data: {}, inMemory: true, _id: 'memory' })
      const dueDate = new Date(Date.now() - 60_000)
      const running = master.call('run', { taskType: 'echo', data: {}, _id: 'early', dueDate })
      await eventually('it is added', async () => (await master.find('early', false)) !== undefined)
      await master.call('release', holding)
      await running
      await master.ending('memory')
      await master.caughtUp()
      test.equal(master.starts, [holding, 'memory', 'early'])
    })
  },
)

Tinytest.addAsync('reported - a job may wait for many tasks with its signal', async test => {
  await withOneWorker(async master => {
    await master.resultOf({ taskType: 'runTwenty', data: {} })
    test.notMatches(master.output, /MaxListenersExceededWarning/)
  })
})

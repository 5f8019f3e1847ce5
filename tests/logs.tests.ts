import { strict as assert } from 'node:assert'
import type { LogEntry, NewTask } from 'meteor/nschwarz:cluster'
import { Tinytest } from 'meteor/tinytest'
import { createLog } from '../common/log'
import { textOfDuration } from '../common/text'
import { taskLine } from './support/log-line'
import { type RemoteMaster, sharedMaster, withMaster } from './support/remote-master'

const TIMESTAMP = '\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}\\.\\d{3}Z'

Tinytest.add('logs - a line is timestamp, package, taskType and taskId, then what happened', test => {
  const line = taskLine({ taskType: 'TEST', _id: 'abc' }, 'started')
  test.equal(line, '1970-01-01T00:00:00.000Z:nschwarz:cluster:TEST:abc\tstarted')
})

Tinytest.add('logs - a duration is in the unit that people would choose', test => {
  const milliseconds = [0, 50, 1234, 30_000, 119_000, 180_000, 7_200_000, 3 * 86_400_000]
  test.equal(milliseconds.map(textOfDuration), ['0 s', '0.05 s', '1.2 s', '30 s', '119 s', '3 min', '2 h', '3 days'])
})

/**
 * What the lines about a task say, stacks left out. They come through several pipes, so their order is that of their
 * times.
 */
async function linesAbout(master: RemoteMaster, _id: string, count: number): Promise<string[]> {
  const line = new RegExp(`^(${TIMESTAMP}):nschwarz:cluster:[^:\\n]+:${_id}\\t(.*)$`, 'gm')
  const lines = () => [...master.output.matchAll(line)]
  await master.until(`${String(count)} lines about ${_id}`, () => lines().length >= count)
  return lines()
    .sort(([, a = ''], [, b = '']) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([, , text = '']) => text)
}

interface Told {
  readonly what: string
  readonly task: NewTask
  readonly options?: Parameters<typeof withMaster>[0]['options']
  /** Every line about the task, in their order. */
  readonly lines: readonly RegExp[]
}

const OUTCOMES: readonly Told[] = [
  { what: 'succeeds', task: { taskType: 'echo', data: {} }, lines: [/^started$/, /^done in \d+ ms$/] },
  {
    what: 'fails',
    task: { taskType: 'fail', data: { message: 'card refused' } },
    lines: [/^started$/, /^failed for good after 1 attempt: ApplicationError: card refused$/],
  },
  {
    what: 'fails with retries',
    task: { taskType: 'fail', data: { message: 'card refused' }, retries: 1, backoff: 120 },
    lines: [
      /^started$/,
      /^failed, retrying in 0\.12 s \(1 of 1\): ApplicationError: card refused$/,
      /^started$/,
      /^failed for good after 2 attempts: ApplicationError: card refused$/,
    ],
  },
  {
    what: 'times out and ends',
    task: { taskType: 'timedOut', data: {} },
    lines: [/^started$/, /^timed out after 50 ms, failed for good after 1 attempt: /],
  },
  {
    what: 'times out and has to be killed',
    task: { taskType: 'stubborn', data: {}, timeout: 60, retries: 1, backoff: 0 },
    options: { abortGrace: 50 },
    lines: [
      /^started$/,
      /^timed out after 60 ms, worker \d+ killed, retrying in 0 s \(1 of 1\): TaskTimeoutError: /,
      /^started$/,
      /^timed out after 60 ms, worker \d+ killed, failed for good after 2 attempts: /,
    ],
  },
  {
    what: 'kills its worker',
    task: { taskType: 'die', data: {} },
    options: { maxCrashes: 2 },
    lines: [
      /^started$/,
      /^worker \d+ died \(signal SIGKILL\), retrying in 3 s \(crash 1 of 2\)$/,
      /^started$/,
      /^worker \d+ died \(signal SIGKILL\), failed for good after 2 crashes: /,
    ],
  },
  {
    what: 'returns what cannot be sent',
    task: { taskType: 'returnFaulty', data: { what: 'a function' }, retries: 3 },
    lines: [/^started$/, /^failed for good after 1 attempt: /],
  },
  {
    what: 'has no function',
    task: { taskType: 'nobodys', data: {}, inMemory: true },
    lines: [/^started$/, /^failed for good after 1 attempt: .*no function for the taskType "nobodys"/],
  },
]

for (const inMemory of [false, true]) {
  for (const { what, task, options = {}, lines } of OUTCOMES) {
    // A master claims no persistent task of a type that it has no function for.
    if (task.inMemory === true && !inMemory) continue
    Tinytest.addAsync(
      `logs - ${inMemory ? 'in-memory' : 'persistent'}: a task that ${what} has one line for each start and each outcome`,
      async () => {
        const run = async (master: RemoteMaster) => {
          const _id = await master.addTask({ ...task, inMemory })
          const written = await linesAbout(master, _id, lines.length)
          assert.equal(written.length, lines.length, written.join('\n'))
          // Two lines of one millisecond have no order.
          for (const line of lines)
            assert.ok(
              written.some(text => line.test(text)),
              `${String(line)}: ${written.join('\n')}`,
            )
        }
        if (Object.keys(options).length === 0) await run(await sharedMaster())
        else await withMaster({ options }, run)
      },
    )
  }

  Tinytest.addAsync(
    `logs - ${inMemory ? 'in-memory' : 'persistent'}: a task that is cancelled has one line that is no error`,
    async () => {
      await withMaster({}, async master => {
        const running = await master.addTask({ taskType: 'holdUntilAborted', data: {}, inMemory })
        const waiting = await master.addTask({ taskType: 'echo', data: {}, inMemory })
        await master.held(running)
        for (const _id of [waiting, running]) assert.equal(await master.call('cancel', _id), true)
        assert.deepEqual(await linesAbout(master, waiting, 1), ['cancelled'])
        assert.deepEqual(await linesAbout(master, running, 2), ['started', 'cancelled'])
      })
    },
  )

  Tinytest.addAsync(
    `logs - ${inMemory ? 'in-memory' : 'persistent'}: a job that a stop cuts short is requeued, and that is no error`,
    async () => {
      await withMaster({}, async master => {
        const _id = await master.addTask({ taskType: 'hold', data: {}, inMemory })
        await master.held(_id)
        await master.call('stop', { timeout: 0 })
        assert.deepEqual(await linesAbout(master, _id, 2), ['started', 'requeued: the cluster stops'])
      })
    },
  )
}

Tinytest.addAsync(
  "logs - with 'error' only warnings and errors are shown, of the master and of the workers",
  async () => {
    await withMaster({ options: { logs: 'error', maxAvailableWorkers: 10_000 } }, async master => {
      await master.resultOf({ taskType: 'echo', data: {} })
      const { task } = await master.run({ taskType: 'fail', data: { message: 'still shown' } })
      await master.written(new RegExp(`fail:${task._id}\tfailed for good after 1 attempt: .*still shown`))
      await master.written(/WARNING\tmaxAvailableWorkers is 10000; using \d+/)
      const cancelled = await master.addTask({ taskType: 'echo', data: {}, dueDate: new Date(Date.now() + 60_000) })
      await master.call('cancel', cancelled)
      await master.notice('cancelled', notice => notice.task._id === cancelled)
      await master.caughtUp()
      assert.doesNotMatch(master.output, /\tstarted|\tdone in|\tcancelled/)
    })
  },
)

Tinytest.addAsync('logs - a function gets each entry, in the process where it arises', async () => {
  await withMaster({ options: { logs: 'function' as never } }, async master => {
    const { task } = await master.run({ taskType: 'fail', data: { message: 'card refused' }, retries: 1, backoff: 1 })
    const all = () =>
      [...master.output.matchAll(/^entry (.*)$/gm)].map(
        ([, json = '{}']) => JSON.parse(json) as LogEntry & { readonly in: string },
      )
    const entries = () => all().filter(({ taskId }) => taskId === task._id)
    await master.until('both attempts are told', () => entries().length === 4)
    assert.deepEqual(
      entries().map(entry => [entry.in, entry.level, entry.event, entry.attempt, entry.taskType, entry.error]),
      [
        ['master', 'info', 'started', 1, 'fail', undefined],
        ['master', 'warn', 'retry', 1, 'fail', 'card refused'],
        ['master', 'info', 'started', 2, 'fail', undefined],
        ['master', 'error', 'error', 2, 'fail', 'card refused'],
      ],
    )
    assert.ok(entries().every(({ event, milliseconds }) => (milliseconds === undefined) === (event === 'started')))
    await master.run({ taskType: 'talkAfterwards', data: {} })
    const isWarning = ({ message }: LogEntry) => message.includes('called toggleIPC after its job had ended')
    await master.until('the worker warns', () => all().some(entry => entry.in === 'worker' && isWarning(entry)))
    assert.doesNotMatch(master.output, /:nschwarz:cluster:/)
  })
})

Tinytest.addAsync('logs - a function that throws or rejects stops nothing, and what it got is written', async test => {
  const written: string[] = []
  const { error, warn } = console
  console.error = console.warn = (line: string) => written.push(line)
  try {
    for (const logs of [
      () => {
        throw new Error('disk full')
      },
      () => Promise.reject(new Error('disk full')),
    ]) {
      createLog(logs).warn('the queue cannot be read')
      // A rejection is heard of in a later turn.
      await new Promise(setImmediate)
    }
  } finally {
    Object.assign(console, { error, warn })
  }
  test.equal(
    written.map(line => line.split('\t')[1]),
    [
      'the queue cannot be read',
      'the logs function threw: disk full',
      'the queue cannot be read',
      'the logs function threw: disk full',
    ],
  )
})

Tinytest.addAsync(
  'logs - tasks of a type that no task map has are named at the start, with their number and age',
  async () => {
    await withMaster({ options: { maxAvailableWorkers: 1 } }, async first => {
      const old = { createdAt: new Date(Date.now() - 3 * 86_400_000) }
      const ids = await first.call(
        'addTasks',
        Array.from({ length: 5 }, () => ({ taskType: 'dropped', data: {} })),
      )
      await first.database.tasks.updateOne({ _id: ids[0] ?? '' }, { $set: old })
      await withMaster({ database: first.database }, async second => {
        await second.written(
          /WARNING\t5 waiting tasks of type "dropped", which no task map here has; the oldest is 3 days old/,
        )
      })
    })
  },
)

/**
 * What does not fit through the pipe, or into a log line, is an error where it belongs: never a job that hangs, or a
 * dead process.
 */
import { TaskQueue, type NewTask } from 'meteor/nschwarz:cluster'
import { Random } from 'meteor/random'
import { Tinytest, type TestCaseResults } from 'meteor/tinytest'
import { copyPlain } from '../common/plain'
import { decode, encode } from '../common/pipe/codec'
import { faultyErrors, faultyValues } from './support/faulty'
import { BREACHES, UNREADABLE_OUTCOMES } from './support/forgeries'
import { taskLine } from './support/log-line'
import { type RemoteMaster, sharedMaster, withMaster } from './support/remote-master'

type Coded = Error & { readonly code?: unknown; readonly errors?: unknown }

/** Of the shared master. */
const WARM_WORKERS = 2

const UNSENDABLE = 'UnsendableValueError'

/** Runs a task, and checks that neither the master nor a worker has exited. */
async function runUnharmed(
  test: TestCaseResults,
  master: RemoteMaster,
  task: NewTask,
): Promise<ReturnType<RemoteMaster['run']>> {
  await master.workersAre(WARM_WORKERS)
  const workers = master.workerPids
  const ending = await master.run(task)
  test.equal(await master.resultOf({ taskType: 'echo', data: { still: 'here' } }), { still: 'here' })
  test.equal(master.workerPids, workers)
  return ending
}

const retriesOf = (master: RemoteMaster, _id: string) => master.notices('retry').filter(({ task }) => task._id === _id)

for (const what of Object.keys(faultyValues)) {
  Tinytest.addAsync(`faults - a result with ${what} fails its task at once, without retries`, async test => {
    const master = await sharedMaster()
    const { event, value, task } = await runUnharmed(test, master, {
      taskType: 'returnFaulty',
      data: { what },
      retries: 3,
    })
    test.equal([event, (value as Error).name, task.attempts, task.failures], ['error', UNSENDABLE, 1, 1])
    test.matches((value as Error).message, /the result of the task cannot be sent to another process/)
    test.equal(retriesOf(master, task._id), [])
  })

  Tinytest.addAsync(`faults - a message with ${what} rejects its conversation in the task`, async test => {
    const { value } = await runUnharmed(test, await sharedMaster(), { taskType: 'sayFaulty', data: { what } })
    const { name, message } = value as Error
    test.equal(name, UNSENDABLE)
    test.matches(message, /the data of the message cannot be sent to another process/)
  })

  Tinytest.addAsync(`faults - an answer with ${what} rejects the conversation`, async test => {
    const task = { taskType: 'askFaulty', data: { ask: 'faultyAnswer', what } }
    const { value } = await runUnharmed(test, await sharedMaster(), task)
    test.equal((value as Error).name, UNSENDABLE)
    test.matches((value as Error).message, /the answer of the messageBroker cannot be sent to another process/)
  })
}

Tinytest.addAsync('faults - an answer that is changed after it was given rejects the conversation', async test => {
  const { value } = await runUnharmed(test, await sharedMaster(), {
    taskType: 'askFaulty',
    data: { ask: 'circleLater' },
  })
  test.equal((value as Error).name, UNSENDABLE)
})

Tinytest.addAsync('faults - a cancelled job whose result cannot be sent is cancelled', async test => {
  const master = await sharedMaster()
  const _id = await master.addTask({ taskType: 'returnFaultyLate', data: {} })
  await master.held(_id)
  test.isTrue(await master.call('cancel', _id))
  await master.notice('cancelled', ({ task }) => task._id === _id)
  await master.resultOf({ taskType: 'echo', data: {} })
  test.isFalse(master.endings.some(({ task }) => task._id === _id))
})

Tinytest.addAsync(
  'faults - a job that is over its timeout is retried, though its result cannot be sent',
  async test => {
    const master = await sharedMaster()
    const task = { taskType: 'returnFaultyLate', data: {}, timeout: 50, retries: 1, backoff: 1 }
    const { value, task: failed } = await master.run(task)
    test.equal([(value as Error).name, failed.attempts], ['TaskTimeoutError', 2])
  },
)

for (const what of Object.keys(UNREADABLE_OUTCOMES)) {
  Tinytest.addAsync(`faults - an outcome that cannot be read ends its job, and is logged (${what})`, async test => {
    const master = await sharedMaster()
    const { event, value, task } = await runUnharmed(test, master, { taskType: 'forge', data: { what }, retries: 3 })
    test.equal([event, (value as Error).name, task.attempts], ['error', UNSENDABLE, 1])
    await master.written(
      new RegExp(`ERROR\tworker on port \\d+: the job of forge:${task._id} failed: .*cannot be read`),
    )
  })
}

for (const what of Object.keys(BREACHES)) {
  Tinytest.addAsync(
    `faults - a worker that breaks the protocol is killed, and its job counts a crash (${what})`,
    async test => {
      await withMaster({ options: { maxCrashes: 1 } }, async master => {
        const { value, task } = await master.run({ taskType: 'forge', data: { what: `breach:${what}` } })
        test.equal([(value as Error).name, task.crashes], ['WorkerCrashError', 1])
        test.matches((value as Error).message, /The master killed it: it sent a message .* that cannot be read/)
        await master.written(/ERROR\tworker on port \d+: it sent a message in the envelope .*: killed/)
        test.equal(await master.resultOf({ taskType: 'echo', data: { still: 'here' } }), { still: 'here' })
      })
    },
  )
}

Tinytest.addAsync('faults - a hint that cannot be read is ignored with a line in the log', async test => {
  const master = await sharedMaster()
  const { value } = await runUnharmed(test, master, { taskType: 'forge', data: { what: 'hints' } })
  test.equal(value, 'too late')
  for (const kind of ['tasksAdded', 'taskCancelled', 'cancelRequested', 'typePaused']) {
    await master.written(
      new RegExp(`ERROR\tworker on port \\d+: a message of the kind "${kind}" .* cannot be read: ignored`),
    )
  }
})

for (const what of Object.keys(faultyErrors)) {
  Tinytest.addAsync(`faults - an error with ${what}, thrown in a task, ends no process`, async test => {
    const { event, value } = await runUnharmed(test, await sharedMaster(), { taskType: 'throwFaulty', data: { what } })
    const { message, code } = value as Coded
    test.equal([event, message.slice(0, 6), code], ['error', 'faulty', 'E_FAULTY'])
  })

  Tinytest.addAsync(`faults - an error with ${what}, thrown by the messageBroker, ends no process`, async test => {
    const task = { taskType: 'askFaulty', data: { ask: 'faultyThrow', what } }
    const { value } = await runUnharmed(test, await sharedMaster(), task)
    const { message, code } = value as Coded
    test.equal([message.slice(0, 6), code], ['faulty', 'E_FAULTY'])
  })
}

Tinytest.addAsync('faults - a long stack keeps its message and its frames, and loses its middle', async test => {
  const { value } = await (await sharedMaster()).run({ taskType: 'throwFaulty', data: { what: 'a message of 140 MB' } })
  const { stack = '', message } = value as Error
  test.isTrue(stack.length < 70_000 && message.length < 70_000)
  test.matches(stack, /^Error: faulty .*… \(\d+ characters left out\) …/s)
  test.matches(stack, /\n {4}at [^\n]+$/)
})

Tinytest.addAsync('faults - a revoked proxy can be thrown', async test => {
  const { event, value } = await runUnharmed(test, await sharedMaster(), { taskType: 'throwProxy', data: {} })
  test.equal([event, (value as Error).message], ['error', 'an object'])
})

Tinytest.addAsync('faults - an AggregateError keeps its errors, with their codes', async test => {
  const { value } = await (await sharedMaster()).run({ taskType: 'throwAggregate', data: {} })
  const [first, second] = (value as Coded).errors as [Coded, unknown]
  test.equal([first.message, first.code, second], ['refused', 'ECONNREFUSED', 'a text'])
})

Tinytest.add('faults - a line break or an escape in a name is escaped in the log', test => {
  const task = { taskType: 'a\nb', _id: '\u001b[2Kc\r\u2028\u202e' }
  const line = taskLine(task, 'started\tnow\nnever')
  const name = 'a\\nb:\\x1b[2Kc\\r\\u2028\\u202e'
  test.equal(line, `1970-01-01T00:00:00.000Z:nschwarz:cluster:${name}\tstarted\\tnow\\nnever`)
})

Tinytest.add('faults - the further lines of a stack are indented in the log', test => {
  const stack = 'Error: a\nb\r\n    at c\n\n\td'
  const line = taskLine({ taskType: 'a', _id: 'b' }, 'failed', stack)
  test.equal(line.split('\t', 2)[1], 'failed: Error: a\n    b\n    at c\n\n    \\td')
})

Tinytest.add('faults - names and texts of megabytes are cut in the log', test => {
  const long = 'x'.repeat(2 ** 24)
  const line = taskLine({ taskType: long, _id: long }, long, long)
  test.isTrue(line.length < 2 ** 18)
})

Tinytest.addAsync('faults - nobody forges a log line by an _id, a taskType or a message', async test => {
  const master = await sharedMaster()
  const mark = Random.id()
  const forged = `\n2026-01-01T00:00:00.000Z:nschwarz:cluster:ERROR\t${mark}`
  await master.resultOf({ taskType: 'echo', data: {}, _id: `id${mark}${forged}` })
  await master.run({ taskType: 'throwLines', data: { message: `first${forged}` }, _id: `last${mark}` })
  const unknown = await master.addTask({ taskType: `type${mark}${forged}`, data: {} })
  await master.written(new RegExp(`a task of type "type${mark}`))
  await master.written(new RegExp(`echo:id${mark}\\\\n2026.*\\\\t${mark}\tdone`))
  await master.written(new RegExp(`throwLines:last${mark}\tfailed for good after 1 attempt: Error: first\n {4}2026`))
  await master.database.tasks.deleteOne({ _id: unknown })
  test.notMatches(master.output, new RegExp(`^[^\\n]*:nschwarz:cluster:ERROR\t${mark}`, 'm'))
})

for (const [what, list] of [
  ['undefined', [1, undefined, 2]],
  // eslint-disable-next-line no-sparse-arrays -- a hole is what is tested
  ['a hole', [1, , 2]],
] as const) {
  for (const inMemory of [false, true]) {
    const queue = inMemory ? 'in-memory' : 'persistent'

    Tinytest.addAsync(`faults - ${what} in a list of a task's data is refused with its path (${queue})`, async test => {
      const taskType = Random.id()
      const allowed = 'is undefined; allowed: null, booleans, numbers, strings'
      const refused = (path: string) => new RegExp(`${path.replaceAll(/[.[\]]/g, '\\$&')} ${allowed}`)
      const good = { taskType, data: {}, inMemory }
      await test.throwsAsync(() => TaskQueue.addTask({ ...good, data: list }), refused('addTask.data[1]'))
      await test.throwsAsync(
        () => TaskQueue.addTask({ ...good, data: { deep: { list } } }),
        refused('addTask.data.deep.list[1]'),
      )
      await test.throwsAsync(
        () => TaskQueue.addTasks([good, { ...good, data: { list } }]),
        refused('addTasks[1].data.list[1]'),
      )
      test.equal(await TaskQueue.find({ taskType }).countAsync(), 0)
      test.isFalse(TaskQueue.inMemory.tasks().some(task => task.taskType === taskType))
    })
  }
}

Tinytest.add("faults - an object's undefined fields are left out, as before", test => {
  test.equal(copyPlain({ left: undefined, list: [{ left: undefined }] }), { copy: { list: [{}] } })
})

Tinytest.addAsync("faults - binary in a task's data has a buffer of its own", async test => {
  const master = await sharedMaster()
  const data = { bytes: Buffer.from('bytes') }
  test.equal(await master.resultOf({ taskType: 'bufferSizes', data }), [5, 5])
  test.equal(await master.resultOf({ taskType: 'bufferSizes', data, inMemory: true }), [5, 5])
})

Tinytest.add('faults - binary in a result has a buffer of its own', test => {
  const result = decode(encode({ floats: new Float64Array([1, 2]), bytes: Buffer.from('bytes') }))
  const { floats, bytes } = result as { floats: Float64Array; bytes: Buffer }
  test.equal([floats.byteOffset, floats.buffer.byteLength], [0, 16])
  test.equal([bytes.byteOffset, bytes.buffer.byteLength], [0, 5])
})

import { type MessageBroker, TaskQueue, type NewTask, type TaskEventType } from 'meteor/nschwarz:cluster'
import { Tinytest } from 'meteor/tinytest'
import { createLog } from '../common/log'
import type { Answer } from '../common/pipe/protocol'
import { createTask } from '../common/task'
import { consult } from '../server/master/broker'
import { Events } from '../server/master/claims/events'
import { Listeners } from '../server/queue/listeners'
import { type RemoteMaster, sharedMaster, withMaster } from './support/remote-master'
import { waiters } from './support/settle'

interface ApplicationError extends Error {
  readonly code: string
  readonly details: unknown
}

for (const inMemory of [false, true]) {
  const queue = inMemory ? 'in-memory' : 'persistent'

  Tinytest.addAsync(
    `events - ${queue}: error tells a real Error with name, message, stack, code and cause`,
    async test => {
      const master = await sharedMaster()
      const { event, value, task } = await master.run({ taskType: 'fail', data: { message: 'broken' }, inMemory })
      const error = value as ApplicationError
      test.equal(event, 'error')
      test.instanceOf(error, Error)
      test.equal([error.name, error.message, error.code], ['ApplicationError', 'broken', 'E_APPLICATION'])
      test.matches(error.stack ?? '', /ApplicationError: broken|Error: broken/)
      test.matches(error.stack ?? '', /task-map/)
      test.equal([(error.cause as Error).name, (error.cause as Error).message], ['RangeError', 'the reason'])
      test.equal(error.details, { at: new Date(0) })
      test.equal([task.taskType, task.state, task.error?.message], ['fail', 'failed', 'broken'])
    },
  )

  Tinytest.addAsync(`events - ${queue}: a failed task stays, failed, and is not run again`, async test => {
    const master = await sharedMaster()
    const { task } = await master.run({ taskType: 'rejectLate', data: {}, inMemory })
    const stored = inMemory
      ? await master.call('findById', task._id)
      : await master.database.tasks.findOne({ _id: task._id })
    test.equal(stored?.state, 'failed')
    test.equal((stored?.error as Error).message, 'rejected late')
    await master.resultOf({ taskType: 'echo', data: {}, inMemory, priority: -1 })
    test.equal(master.endings.filter(ending => ending.task._id === task._id).length, 1)
  })

  Tinytest.addAsync(
    `events - ${queue}: a done task has left the queue before its listener is told (invariant 3)`,
    async test => {
      const master = await sharedMaster()
      const { task } = await master.run({ taskType: 'echo', data: {}, inMemory })
      if (inMemory) test.isUndefined(await master.call('findById', task._id))
      else test.equal(await master.database.tasks.findOne({ _id: task._id }), null)
    },
  )
}

Tinytest.addAsync('events - values keep Date, Map, Buffer, BigInt and Error', async test => {
  const master = await sharedMaster()
  const value = (await master.resultOf({ taskType: 'rich', data: {} })) as Record<string, unknown>
  test.equal(value.date, new Date(1_700_000_000_000))
  test.isTrue(value.map instanceof Map && value.map.get('key') instanceof Date)
  test.equal(value.buffer, Buffer.from('bytes'))
  test.equal(value.bigint, 12_345_678_901_234_567_890n)
  test.isTrue(value.error instanceof Error && value.error.message === 'inner' && value.error.cause === 'why')
})

Tinytest.addAsync('events - a result that cannot be sent fails the task with a clear error', async test => {
  const master = await sharedMaster()
  const { event, value } = await master.run({ taskType: 'unsendable', data: {} })
  test.equal([event, (value as Error).name], ['error', 'UnsendableValueError'])
  test.matches((value as Error).message, /the result of the task cannot be sent to another process/)
})

Tinytest.addAsync('events - a result that is nested too deep fails the task, and no process', async test => {
  const master = await sharedMaster()
  const nest = (levels: number, innermost: unknown) =>
    master.run({ taskType: 'nest', data: { levels, innermost }, retries: 0 })
  test.equal((await nest(400, new Date(0))).event, 'done')
  for (const innermost of [null, new Date(0)]) {
    for (const levels of [600, 2500, 10_000]) {
      const { value } = await nest(levels, innermost)
      test.matches((value as Error).message, /the result of the task cannot be sent.*more than 500 levels deep/)
    }
  }
})

Tinytest.addAsync('events - what a task throws may be anything', async test => {
  const master = await sharedMaster()
  const { event, value } = await master.run({ taskType: 'failWithText', data: {} })
  test.equal([event, (value as Error).message], ['error', 'only a text'])
})

/** Which of the listeners were told that this task is done. */
async function toldOf(master: RemoteMaster, newTask: NewTask): Promise<string[]> {
  const _id = await master.addTask(newTask)
  // Listeners are called before the next task is done.
  await master.written(new RegExp(`${newTask.taskType}:${_id}\tdone`))
  await master.call('tasks')
  return master.endings.filter(({ task }) => task._id === _id).map(({ mode }) => mode)
}

Tinytest.addAsync(
  'events - several listeners are told, the same function once, by task type if they ask so',
  async test => {
    await withMaster({}, async master => {
      const echo = { taskType: 'echo', data: {} }
      const text = { taskType: 'text', data: { bytes: 1 } }
      await master.call('listen', 'done', 'second', { taskType: 'echo' })
      test.equal(await toldOf(master, echo), ['usual', 'second'])
      test.equal(await toldOf(master, text), ['usual'])
      await master.call('listen', 'done', 'second', { taskType: 'echo' })
      await master.call('listen', 'done', 'usual')
      test.equal(await toldOf(master, echo), ['usual', 'second'], 'the same functions again')
      await master.call('listen', 'done', 'second', { taskType: 'text' })
      test.equal(await toldOf(master, text), ['usual', 'second'], 'a further type')
      test.equal(await toldOf(master, echo), ['usual', 'second'])
      await master.call('listen', 'done', 'second')
      test.equal(await toldOf(master, echo), ['usual', 'second'], 'all types')
      await master.call('listen', 'done', 'throwing')
      await master.call('listen', 'done', 'last')
      test.equal(await toldOf(master, echo), ['usual', 'second', 'last'], 'one that throws stops no other')
      await master.call('stopListening', 'done', 'second')
      await master.call('stopListening', 'done', 'second')
      test.equal(await toldOf(master, echo), ['usual', 'last'])
      await master.call('stopListening', 'done')
      test.equal(await toldOf(master, echo), [])
      await master.call('listen', 'done', 'usual')
      test.equal(await toldOf(master, echo), ['usual'])
    })
  },
)

Tinytest.addAsync('events - each listener has a copy of the task of its own', async test => {
  const task = createTask({ taskType: 'TEST', data: { list: [1] } })
  const set = new Listeners()
  const seen: unknown[] = []
  for (const name of ['first', 'second']) {
    set.add('done', event => {
      const { list } = event.task.data as { list: unknown[] }
      seen.push([...list])
      list.push(name)
    })
  }
  await new Events(set, waiters, createLog('error')).emit('done', { value: undefined, task })
  test.equal(seen, [[1], [1]])
})

Tinytest.addAsync('events - a listener that throws loses no outcome and stops nothing (invariant 3)', async test => {
  const master = await sharedMaster()
  await master.call('listen', 'done', 'throwing')
  const _id = await master.addTask({ taskType: 'echo', data: {} })
  await master.written(new RegExp(`echo:${_id}\tthe 'done' listener threw: Error: the listener threw`))
  test.equal(await master.database.tasks.findOne({ _id }), null)
  await master.call('stopListening', 'done', 'throwing')
  test.equal(await master.resultOf({ taskType: 'echo', data: { a: 1 } }), { a: 1 })
})

Tinytest.addAsync('events - on a worker addEventListener and inMemory are clear errors', async test => {
  const master = await sharedMaster()
  const listening = await master.run({ taskType: 'listenInWorker', data: {} })
  test.equal((listening.value as Error).name, 'WrongProcessError')
  test.matches((listening.value as Error).message, /addEventListener works on the master only/)
  const looking = await master.run({ taskType: 'lookInMemory', data: {} })
  test.matches((looking.value as Error).message, /TaskQueue\.inMemory is on the master only/)
})

Tinytest.addAsync('events - what an application does to the data of a task that stays changes nothing', async test => {
  const task = createTask({ taskType: 'TEST', data: { list: [1] } })
  const log = createLog('error')
  const change = (given: { readonly data: unknown }) => (given.data as { list: number[] }).list.push(2)
  const set = new Listeners()
  for (const type of ['error', 'retry', 'cancelled'] as const) set.add(type, event => change(event.task))
  const events = new Events(set, waiters, log)
  for (const type of ['error', 'retry'] as const) await events.emit(type, { value: new Error('broken'), task })
  await events.emit('cancelled', { task })
  const answered = new Promise<Answer>(answer => {
    const broker: MessageBroker = (respond, _message, job) => {
      respond(change(job))
    }
    const claim = { task, token: 'any', inMemory: true, isTakenOver: false, isCancelRequested: false }
    const message = { kind: 'ask', token: 'any', conversation: 0, status: 2, data: {} } as const
    void consult(broker, { claim, message, answer }, true, log)
  })
  test.equal(await answered, { kind: 'answered', value: { value: 2 } })
  test.equal(task.data, { list: [1] })
})

Tinytest.add('events - another event type, or a listener that is no function, is refused', test => {
  const another = 'finished' as TaskEventType
  test.throws(() => {
    TaskQueue.addEventListener(another, () => undefined)
  }, /addEventListener\.eventType is "finished" \(string\); allowed: 'added', 'start', 'progress', 'done', 'error', 'retry'/)
  test.throws(() => {
    TaskQueue.removeEventListener(another)
  }, /removeEventListener\.eventType/)
  test.throws(() => {
    TaskQueue.addEventListener('done', null as unknown as () => void)
  }, /addEventListener\.listener is null; allowed: a function/)
})

import { Tinytest } from 'meteor/tinytest'
import type { Task } from 'meteor/nschwarz:cluster'
import { TaskQueue } from 'meteor/nschwarz:cluster'
import { sharedMaster, withMaster } from './support/remote-master'
import { eventually } from './support/wait'

const DAY = 24 * 3_600_000
const SHOWN = ['_id', 'attempts', 'audience', 'createdAt', 'endedAt', 'progress', 'startedAt', 'state', 'taskType']

function fieldsOf(tasks: readonly Partial<Task>[]): string[][] {
  return tasks.map(task => Object.keys(task).sort())
}

Tinytest.addAsync('audience - each one sees its own tasks, from the start to a minute after the end', async test => {
  const master = await sharedMaster()
  const _id = 'followed'
  await master.addTask({ taskType: 'report', data: { values: [7], holds: true }, audience: ['ada', 'the team'], _id })
  await master.addTask({
    taskType: 'echo',
    data: {},
    audience: 'bob',
    dueDate: new Date(Date.now() + DAY),
    _id: 'of bob',
  })
  await master.addTask({ taskType: 'echo', data: {}, dueDate: new Date(Date.now() + DAY), _id: 'of nobody' })
  await master.held(_id)
  for (const audience of ['ada', 'the team']) {
    await eventually('its progress is seen', async () => (await master.call('findFor', audience))[0]?.progress === 7)
    const [task, ...others] = await master.call('findFor', audience)
    test.equal([task?._id, task?.state, others], [_id, 'running', []])
    test.isTrue(task?.startedAt instanceof Date, 'while it runs')
  }
  await master.call('release', _id)
  await master.ending(_id)
  const ended = await master.call('findFor', 'ada', { fields: { result: 1 } })
  test.equal(fieldsOf(ended), [[...SHOWN, 'result'].sort()])
  test.equal([ended[0]?.state, ended[0]?.result], ['done', 'reported'])
  const stored = await master.database.tasks.findOne({ _id })
  test.equal(Number(stored?.removeAt) - Number(stored?.endedAt), 60_000)
  test.equal(
    (await master.call('findFor', 'bob')).map(task => task._id),
    ['of bob'],
  )
  test.equal(await master.call('findFor', 'eve'), [])
  test.equal(await master.call('result', _id), 'reported', 'its result is kept for whoever asks')
  const again = { taskType: 'report', data: {}, _id }
  test.equal(await master.call('run', again), 'reported', 'it is joined')
  for (const other of ['of bob', 'of nobody']) await master.call('remove', other)
})

Tinytest.addAsync('audience - only the fields that are named are shown, and none that is for masters', async test => {
  const master = await sharedMaster()
  const task = { taskType: 'report', data: { fails: true, lines: ['said'] }, audience: 'fields', _id: 'shown' }
  await master.run(task)
  test.equal(fieldsOf(await master.call('findFor', 'fields')), [SHOWN.filter(field => field !== 'progress')])
  const fields = { data: 1, 'error.message': 1, log: 1 } as const
  const [shown] = await master.call('findFor', 'fields', { fields })
  test.equal([shown?.data, shown?.error as unknown], [task.data, { message: 'failed after its report' }])
  test.equal(
    shown?.log?.map(({ text }) => text),
    ['said'],
  )
  await test.throwsAsync(
    () => master.call('findFor', 'fields', { fields: { claim: 1 } as never }),
    /there is no field that may be shown "claim"|findFor\.options\.fields/,
  )
})

Tinytest.add('audience - an audience that would find the tasks of others is an error', test => {
  for (const [audience, given] of [
    [undefined, 'undefined'],
    ['', '""'],
    [{ $ne: null }, 'an object'],
    [['ada'], 'an array'],
    [7, '7'],
    [/a/, ''],
  ] as const) {
    test.throws(
      () => TaskQueue.findFor(audience as never),
      (error: Error) =>
        error.name === 'InvalidArgumentError' &&
        error.message.includes('findFor.audience') &&
        error.message.includes(given),
    )
  }
})

Tinytest.addAsync('audience - a client that is not logged in sees nothing', async test => {
  const master = await sharedMaster()
  test.equal(await master.call('findFor', null), [])
})

Tinytest.addAsync('audience - findFor may be restricted to a type, and works in a worker', async test => {
  const master = await sharedMaster()
  for (const taskType of ['echo', 'text']) {
    await master.addTask({
      taskType,
      data: {},
      dueDate: new Date(Date.now() + DAY),
      audience: 'typed',
      _id: `typed ${taskType}`,
    })
  }
  const found = await master.call('findFor', 'typed', { taskType: 'text' })
  test.equal(
    found.map(({ _id }) => _id),
    ['typed text'],
  )
  test.equal(await master.resultOf({ taskType: 'findFor', data: { audience: 'typed' } }), 'a cursor')
  for (const taskType of ['echo', 'text']) await master.call('remove', `typed ${taskType}`)
})

Tinytest.addAsync('audience - an index finds the tasks of an audience', async () => {
  await withMaster({}, async master => {
    const { tasks } = master.database
    const later = new Date(Date.now() + DAY)
    await master.call(
      'addTasks',
      Array.from({ length: 50 }, () => ({ taskType: 'echo', data: {}, dueDate: later })),
    )
    await master.addTask({ taskType: 'echo', data: {}, dueDate: later, audience: ['one', 'other'] })
    // While the index is built, it is not used.
    await eventually('only one document is looked at', async () => {
      const { executionStats } = (await tasks.find({ audience: 'one' }).explain('executionStats')) as {
        executionStats: { totalDocsExamined: number }
      }
      return executionStats.totalDocsExamined === 1
    })
  })
})

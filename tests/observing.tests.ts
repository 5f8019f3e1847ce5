import { TaskQueue } from 'meteor/nschwarz:cluster'
import { Tinytest } from 'meteor/tinytest'
import { Listeners } from '../server/queue/listeners'
import { resume } from './support/processes'
import { QUEUES } from './support/queues'
import type { RecordedType } from './support/remote-protocol'
import { type RemoteMaster, sharedMaster, withMaster } from './support/remote-master'
import { eventually } from './support/wait'

const DAY = 24 * 3_600_000

function recorded(master: RemoteMaster, name: string): { type: RecordedType; payload: unknown }[] {
  return master.notices('recorded').filter(notice => notice.name === name)
}

function idsOf(master: RemoteMaster, name: string, type: RecordedType): string[] {
  const ofType = recorded(master, name).filter(notice => notice.type === type)
  return ofType.map(({ payload }) => (payload as { task: { _id: string } }).task._id)
}

for (const { kind, inMemory } of QUEUES) {
  Tinytest.addAsync(
    `observing - ${kind}: a task is added, started and done, until the listeners are stopped`,
    async test => {
      const master = await sharedMaster()
      const name = `all ${kind}`
      await master.call('record', name, ['added', 'start', 'done'], { taskType: 'echo' })
      const _id = await master.addTask({ taskType: 'echo', data: {}, priority: 3, inMemory })
      const many = await master.call(
        'addTasks',
        [1, 2].map(n => ({ taskType: 'echo', data: { n }, inMemory })),
      )
      await master.addTask({ taskType: 'text', data: { bytes: 1 }, inMemory })
      for (const each of [_id, ...many]) await master.ending(each)
      const ids = [_id, ...many].sort()
      for (const type of ['added', 'start', 'done'] as const) {
        await eventually(`each is ${type}`, () => idsOf(master, name, type).length >= ids.length)
        test.equal(idsOf(master, name, type).sort(), ids)
      }
      const [first] = recorded(master, name)
      test.equal((first?.payload as { task: { priority: number } }).task.priority, 3)
      await master.call('stopRecording', name)
      const before = recorded(master, name).length
      await master.run({ taskType: 'echo', data: {}, inMemory })
      test.equal(recorded(master, name).length, before)
    },
  )
}

Tinytest.addAsync('observing - what a worker adds is heard of on its master, each task once', async test => {
  const master = await sharedMaster()
  await master.call('record', 'by a worker', ['added'], { taskType: 'echo' })
  const data = Array.from({ length: 20 }, (_, index) => ({
    taskType: 'echo',
    data: {},
    _id: `of a worker ${String(index)}`,
  }))
  await master.resultOf({ taskType: 'addMany', data })
  await master.resultOf({ taskType: 'add', data: { taskType: 'echo', data: {}, _id: 'one of a worker' } })
  const expected = [...data.map(({ _id }) => _id), 'one of a worker'].sort()
  await eventually('all are heard of', () => idsOf(master, 'by a worker', 'added').length >= expected.length)
  test.equal(idsOf(master, 'by a worker', 'added').sort(), expected)
  await master.call('stopRecording', 'by a worker')
})

Tinytest.addAsync('observing - the exit of a worker is heard of', async test => {
  await withMaster({ options: { keepAlive: 'always' } }, async master => {
    await master.call('record', 'exits', ['workerExit'])
    const _id = await master.addTask({ taskType: 'hold', data: {} })
    const pid = await master.held(_id)
    process.kill(pid, 'SIGKILL')
    await eventually('it is heard of', () => recorded(master, 'exits').length > 0)
    const { port, ...exit } = recorded(master, 'exits')[0]?.payload as Record<string, unknown>
    test.equal(exit, { pid, code: null, signal: 'SIGKILL', jobs: 1 })
    test.equal(typeof port, 'number')
  })
})

Tinytest.add('observing - removeEventListener leaves what on has added, and stop only that', test => {
  const listeners = new Listeners()
  const [first, second] = [() => 'first', () => 'second']
  const stop = listeners.add('done', first)
  listeners.add('done', first, {}, 'addEventListener')
  listeners.add('done', second, { taskType: 'a' }, 'addEventListener')
  test.equal(listeners.of('done', 'a').length, 2, 'the same function counts once')
  listeners.remove('done')
  test.equal(listeners.of('done', 'a'), [first])
  stop()
  test.equal([listeners.of('done', 'a'), listeners.has('done')], [[], false])
  stop()
  const stopA = listeners.add('done', first, { taskType: 'a' })
  listeners.add('done', first, { taskType: 'b' })
  stopA()
  test.equal([listeners.of('done', 'a'), listeners.of('done', 'b')], [[], [first]])
})

Tinytest.add('observing - a listener for the exits of workers that run one type is a clear error', test => {
  test.throws(
    () => new Listeners().add('workerExit', () => undefined, { taskType: 'echo' }),
    (error: Error) =>
      /on\.options\.taskType is "echo" \(string\); allowed: undefined for 'workerExit'/.test(error.message),
  )
})

Tinytest.addAsync('observing - in a worker on is a clear error', async test => {
  const master = await sharedMaster()
  const { value } = await master.run({ taskType: 'listenByOn', data: {} })
  test.matches((value as Error).message, /TaskQueue\.on works on the master only/)
})

Tinytest.addAsync(
  'observing - counts says how many tasks are in each state, and since when the oldest is due',
  async test => {
    await withMaster({ options: { autoInitialize: false } }, async master => {
      const { tasks } = master.database
      const none = { scheduled: 0, waiting: 0, running: 0, failed: 0, cancelled: 0, done: 0 }
      test.equal(await master.call('counts').then(({ oldestDueDate: _none, ...counts }) => counts), none)
      const [oldest, later] = [new Date(1000), new Date(Date.now() + DAY)]
      await master.call('addTasks', [
        { taskType: 'echo', data: {}, dueDate: oldest },
        { taskType: 'echo', data: {}, priority: 9 },
        { taskType: 'text', data: {} },
        { taskType: 'echo', data: {}, dueDate: later },
      ])
      await master.call('cancel', await master.addTask({ taskType: 'echo', data: {}, dueDate: later }))
      test.equal(await master.call('counts'), {
        ...none,
        waiting: 3,
        scheduled: 1,
        cancelled: 1,
        oldestDueDate: oldest,
      })
      const ofType = await master.call('counts', { taskType: 'text' })
      test.equal([ofType.waiting, ofType.scheduled], [1, 0])
      test.equal((await master.call('counts', { limit: 2 })).waiting, 2)
      await master.call('initialize')
      const left = { state: { $in: ['waiting', 'running'] } }
      await eventually('all have run', async () => (await tasks.countDocuments(left)) === 0)
      await master.run({ taskType: 'failUntil', data: { attempt: 9 } })
      await master.run({ taskType: 'echo', data: {}, keepDone: DAY })
      const { oldestDueDate, ...counts } = await master.call('counts')
      test.equal([counts, oldestDueDate], [{ ...none, scheduled: 1, cancelled: 1, failed: 1, done: 1 }, undefined])
    })
  },
)

for (const [options, message] of [
  [{ limit: 0 }, /counts\.options\.limit is 0 \(number\); allowed: an integer from 1/],
  [{ tasktype: 'a' }, /counts\.options\.tasktype.*Did you mean taskType\?/],
  [
    'echo',
    /counts\.options is "echo" \(string\); allowed: an object \{ taskType, limit \}\. Use \{ taskType: 'echo' \}\./,
  ],
] as const) {
  Tinytest.addAsync(`observing - wrong options of counts (${JSON.stringify(options)}) are a clear error`, test =>
    test.throwsAsync(
      () => TaskQueue.counts(options as object),
      (error: Error) => message.test(error.message),
    ),
  )
}

Tinytest.addAsync('observing - stats says what the workers do', async test => {
  await withMaster({ options: { keepAlive: 'always' } }, async master => {
    const pid = (await master.resultOf({ taskType: 'pid', data: {} })) as number
    const _id = await master.addTask({ taskType: 'hold', data: {} })
    await master.held(_id)
    const since = performance.now()
    const stats = await master.call('stats')
    const [worker, ...others] = stats?.workers ?? []
    test.equal(
      [worker?.pid, worker?.state, worker?.jobs, worker?.jobsDone, others, stats?.buffered],
      [pid, 'ready', 1, 1, [], 0],
    )
    test.isTrue((worker?.rss ?? 0) > 2 ** 24 && (worker?.eventLoopUtilization ?? 2) <= 1)
    await master.call('release', _id)
    await master.ending(_id)
    await master.resultOf({ taskType: 'block', data: { milliseconds: 1000 } })
    const [busy] = (await master.call('stats'))?.workers ?? []
    const leastBusy = 1000 / (performance.now() - since)
    test.isTrue((busy?.eventLoopUtilization ?? 0) > 0.9 * leastBusy, 'since the last one')
    await master.held(await master.addTask({ taskType: 'hold', data: {} }))
    process.kill(pid, 'SIGSTOP')
    const [silent] = (await master.call('stats'))?.workers ?? []
    resume(pid)
    test.equal([silent?.rss, silent?.jobs], [undefined, 1])
  })
})

Tinytest.addAsync('observing - channels for tracing tell of added tasks and of runs', async test => {
  await withMaster({}, async master => {
    await master.call('traceAdds')
    const _id = await master.addTask({ taskType: 'traced', data: {} })
    await master.call('addTasks', [{ taskType: 'echo', data: {}, inMemory: true }])
    test.equal(
      master.notices('traced').map(({ taskType }) => taskType),
      ['traced', 'echo'],
    )
    await master.written(new RegExp(`traced ${_id}, attempt 1`))
  })
})

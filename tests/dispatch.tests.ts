import { TaskQueue } from 'meteor/nschwarz:cluster'
import { Random } from 'meteor/random'
import { Tinytest } from 'meteor/tinytest'
import { sharedMaster, withMaster } from './support/remote-master'
import { ticks } from './support/ticks'
import { eventually } from './support/wait'

const inAnHour = () => new Date(Date.now() + 3_600_000)

for (const inMemory of [false, true]) {
  const queue = inMemory ? 'in-memory' : 'persistent'

  Tinytest.addAsync(`dispatch - a ${queue} task runs in a worker and its result reaches the master`, async test => {
    const master = await sharedMaster()
    const { event, value, task } = await master.run({ taskType: 'process', data: {}, inMemory })
    test.equal(event, 'done')
    test.equal(task.taskType, 'process')
    test.isFalse((value as { isMaster: boolean }).isMaster)
    test.notEqual((value as { pid: number }).pid, master.pid)
  })

  Tinytest.addAsync(`dispatch - ${queue}: the task function gets the job with real dates and a Buffer`, async test => {
    const master = await sharedMaster()
    const data = {
      date: new Date(5),
      list: [1, null, { left: undefined, kept: null }],
      bytes: new Uint8Array([1, 2, 3]),
      number: -0.5,
    }
    const dueDate = new Date(1_000_000)
    const task = { taskType: 'inspectJob', data, priority: 3, dueDate, inMemory }
    const {
      keys,
      data: inspected,
      job,
    } = (await master.resultOf(task)) as {
      keys: string[]
      data: string
      job: Record<string, unknown>
    }
    test.equal(keys.sort(), ['_id', 'createdAt', 'data', 'dueDate', 'priority', 'taskType'])
    test.matches(inspected, /date: 1970-01-01T00:00:00\.005Z/)
    test.matches(inspected, /list: \[ 1, null, \{ kept: null \} \]/)
    test.matches(inspected, /bytes: <Buffer 01 02 03>/)
    test.equal([job.dueDate, job.priority, job.taskType], [dueDate, 3, 'inspectJob'])
    test.isTrue(job.createdAt instanceof Date)
  })

  Tinytest.addAsync(`dispatch - ${queue}: a task function may be asynchronous, or return nothing`, async test => {
    const master = await sharedMaster()
    test.equal(await master.resultOf({ taskType: 'asynchronous', data: { a: 1 }, inMemory }), { a: 1 })
    test.isUndefined(await master.resultOf({ taskType: 'nothing', data: {}, inMemory }))
  })

  Tinytest.addAsync(`dispatch - ${queue}: a given _id is kept, and refused when it is taken`, async test => {
    const master = await sharedMaster()
    const task = { taskType: 'hold', data: {}, _id: Random.id(), inMemory }
    test.equal(await master.addTask(task), task._id)
    await master.held(task._id)
    await test.throwsAsync(() => master.addTask(task), /is already in the queue; remove it first/)
    await master.call('release', task._id)
    test.equal((await master.ending(task._id)).event, 'done')
  })

  Tinytest.addAsync(`dispatch - ${queue}: a task due later waits, and one that became due runs`, async test => {
    const master = await sharedMaster()
    const dueDate = new Date(Date.now() + 300)
    const later = await master.addTask({ taskType: 'echo', data: {}, dueDate: inAnHour(), inMemory })
    const { task } = await master.run({ taskType: 'inspectJob', data: {}, dueDate, inMemory })
    test.isTrue(Date.now() >= Number(dueDate))
    test.equal(task.dueDate, dueDate)
    test.isFalse(master.endings.some(ending => ending.task._id === later))
    if (inMemory) await master.call('removeById', later)
    else await master.database.tasks.deleteOne({ _id: later })
  })
}

Tinytest.addAsync('dispatch - tasks of one worker run in the order of the queue, in-memory ones first', async test => {
  await withMaster({ options: { maxAvailableWorkers: 1 } }, async master => {
    const first = await master.addTask({ taskType: 'hold', data: {} })
    await master.held(first)
    const low = await master.addTask({ taskType: 'echo', data: {}, priority: 1 })
    const high = await master.addTask({ taskType: 'echo', data: {}, priority: 8 })
    const early = await master.addTask({ taskType: 'echo', data: {}, priority: 8, dueDate: new Date(1000) })
    const memoryLow = await master.addTask({ taskType: 'echo', data: {}, priority: 1, inMemory: true })
    const memoryHigh = await master.addTask({ taskType: 'echo', data: {}, priority: 2, inMemory: true })
    await master.call('release', first)
    test.equal(await master.startedUntil(low), [first, memoryHigh, memoryLow, early, high, low])
  })
})

Tinytest.addAsync('dispatch - overlapping ticks never give one worker two jobs', async test => {
  await withMaster({ options: { maxAvailableWorkers: 2, refreshRate: 1 } }, async master => {
    const ids = await Promise.all(Array.from({ length: 6 }, () => master.addTask({ taskType: 'hold', data: {} })))
    for (let left = ids.length; left > 0; left--) {
      const heldNow = () => master.notices('held').filter(({ taskId }) => !ended(taskId))
      const ended = (taskId: string) => master.endings.some(({ task }) => task._id === taskId)
      await master.until('the next task is held', () => heldNow().length === Math.min(2, left))
      test.equal(new Set(heldNow().map(({ pid }) => pid)).size, heldNow().length)
      const [next] = heldNow()
      if (next === undefined) return
      await master.call('release', next.taskId)
      await master.ending(next.taskId)
    }
    test.equal(master.notices('held').length, 6)
  })
})

Tinytest.addAsync('dispatch - an unknown taskType fails that task and takes nothing else down', async test => {
  const master = await sharedMaster()
  for (const taskType of ['UNKNOWN', 'constructor', '__proto__']) {
    const { event, value, task } = await master.run({ taskType, data: {}, inMemory: true })
    test.equal(event, 'error')
    test.equal((value as Error).name, 'UnknownTaskTypeError')
    test.matches((value as Error).message, /the task map has no function for the taskType .*; it has: "echo"/)
    test.equal(task.state, 'failed')
  }
  // A persistent task is claimed by a master that has its type; its workers may have been given another map.
  const { event, value } = await master.run({ taskType: 'onlyOnTheMaster', data: {} })
  test.equal([event, (value as Error).name], ['error', 'UnknownTaskTypeError'])
  test.equal(await master.resultOf({ taskType: 'echo', data: { still: 'here' } }), { still: 'here' })
})

Tinytest.addAsync(
  'dispatch - a persistent task of an unknown type is left to other apps, with one warning (invariant 6)',
  async test => {
    const master = await sharedMaster()
    const _id = await master.addTask({ taskType: 'OF_ANOTHER_APP', data: {}, priority: 9 })
    await master.addTask({ taskType: 'OF_ANOTHER_APP', data: {}, priority: 9 })
    await master.resultOf({ taskType: 'echo', data: {} })
    test.equal((await master.database.tasks.findOne({ _id }))?.state, 'waiting')
    test.equal(master.output.match(/type "OF_ANOTHER_APP" was added/g)?.length, 1)
    await master.database.tasks.deleteMany({ taskType: 'OF_ANOTHER_APP' })
  },
)

Tinytest.addAsync('dispatch - an in-memory task is copied when it is added', async test => {
  const master = await sharedMaster()
  const { value } = await master.ending(await master.call('addAndChange'))
  test.equal(value, { nested: { value: 'as added' } })
})

Tinytest.addAsync('dispatch - inMemory is seen through findById, tasks, availableTasks and removeById', async test => {
  const master = await sharedMaster()
  const _id = await master.addTask({ taskType: 'echo', data: { a: 1 }, dueDate: inAnHour(), inMemory: true })
  test.equal((await master.call('findById', _id))?.data, { a: 1 })
  test.isTrue((await master.call('tasks')).some(task => task._id === _id))
  test.isFalse((await master.call('availableTasks')).some(task => task._id === _id))
  test.equal((await master.call('removeById', _id))?._id, _id)
  test.isUndefined(await master.call('findById', _id))
})

Tinytest.addAsync('dispatch - moving a due date or a priority takes effect', async test => {
  const master = await sharedMaster()
  const sooner = await master.addTask({ taskType: 'echo', data: {}, dueDate: inAnHour() })
  await master.database.tasks.updateOne({ _id: sooner }, { $set: { dueDate: new Date() } })
  test.equal((await master.ending(sooner)).event, 'done')

  const holding = await Promise.all([0, 1].map(() => master.addTask({ taskType: 'hold', data: {} })))
  await Promise.all(holding.map(_id => master.held(_id)))
  const later = await master.addTask({ taskType: 'echo', data: {} })
  const [lower, raised] = [
    await master.addTask({ taskType: 'echo', data: {}, priority: 3 }),
    await master.addTask({ taskType: 'echo', data: {}, priority: 2 }),
  ]
  await master.database.tasks.updateOne({ _id: later }, { $set: { dueDate: inAnHour() } })
  await master.database.tasks.updateOne({ _id: raised }, { $set: { priority: 4 } })
  // One worker stays held, so that the other takes one task after the other.
  await master.call('release', holding[0] ?? '')
  const order = await master.startedUntil(lower)
  test.isTrue(order.indexOf(raised) < order.indexOf(lower))
  test.isFalse(order.includes(later))
  await master.database.tasks.deleteOne({ _id: later })
  await master.call('release', holding[1] ?? '')
  await master.ending(holding[1] ?? '')
})

Tinytest.addAsync(
  'dispatch - removing a running task lets its job end without harm and without an event',
  async test => {
    const master = await sharedMaster()
    for (const inMemory of [false, true]) {
      const _id = await master.addTask({ taskType: 'hold', data: {}, inMemory })
      await master.held(_id)
      if (inMemory) await master.call('removeById', _id)
      else await master.database.tasks.deleteOne({ _id })
      await master.call('release', _id)
      await master.written(new RegExp(`hold:${_id}\tremoved while it was running`))
      test.equal(await master.resultOf({ taskType: 'echo', data: {}, inMemory }), {})
      test.isFalse(master.endings.some(({ task }) => task._id === _id))
    }
  },
)

Tinytest.addAsync('dispatch - a task can be added from a worker, but not in memory', async test => {
  const master = await sharedMaster()
  const added = await master.resultOf({ taskType: 'add', data: { taskType: 'echo', data: { from: 'a worker' } } })
  test.equal((await master.ending(added as string)).value, { from: 'a worker' })
  const { event, value } = await master.run({
    taskType: 'add',
    data: { taskType: 'echo', data: {}, inMemory: true },
  })
  test.equal(event, 'error')
  test.matches((value as Error).message, /in-memory tasks can be added on the master only/)
})

Tinytest.addAsync('dispatch - a recurring task adds itself again', async test => {
  const master = await sharedMaster()
  await master.addTask({ taskType: 'recurring', data: { left: 3 } })
  const runs = () => master.endings.filter(({ task }) => task.taskType === 'recurring').map(({ value }) => value)
  await master.until('the task has run three times', () => runs().length === 3)
  // Two workers: their events may overtake each other.
  test.equal(runs().sort(), [1, 2, 3])
})

Tinytest.addAsync('dispatch - with inMemoryOnly persistent tasks are left alone', async test => {
  await withMaster({ options: { inMemoryOnly: true } }, async master => {
    const persistent = await master.addTask({ taskType: 'echo', data: {}, priority: 9 })
    test.equal(await master.resultOf({ taskType: 'echo', data: { a: 1 }, inMemory: true }), { a: 1 })
    await master.resultOf({ taskType: 'echo', data: {}, inMemory: true })
    test.equal((await master.database.tasks.findOne({ _id: persistent }))?.state, 'waiting')
  })
})

Tinytest.addAsync('dispatch - a queue in which nothing happens costs one query a tick', async test => {
  await withMaster({ options: { leaseDuration: 300 } }, async master => {
    const { database } = master
    await master.addTask({ taskType: 'echo', data: {}, dueDate: inAnHour() })
    await master.resultOf({ taskType: 'echo', data: {} })
    await master.workersAre(0)
    await ticks(database)
    await database.db.command({ profile: 2 })
    const onTasks = { ns: `${database.name}.taskQueue` }
    const operations = () => database.db.collection('system.profile').find(onTasks).sort({ ts: -1 }).limit(10).toArray()
    const kinds = async () => (await operations()).map(({ command }) => Object.keys(command as object)[0])
    // The last look at the probes of these ticks is among the first.
    await eventually('ten queries in a row', async () => (await kinds()).join() === Array(10).fill('aggregate').join())
    await database.db.command({ profile: 0 })
    const times = (await operations()).map(({ ts }) => Number(ts)).reverse()
    const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0))
    // A query that comes late makes one gap longer, and the next one shorter.
    const median = gaps.sort((a, b) => a - b)[4] ?? 0
    test.isTrue(median >= 50 * 0.8, gaps.join())
  })
})

Tinytest.addAsync('dispatch - a task that is added in a worker waits for no tick', async test => {
  const options = { refreshRate: 3_600_000, keepAlive: 'always', maxAvailableWorkers: 2 } as const
  await withMaster({ options }, async master => {
    const added = { taskType: 'echo', data: { a: 1 }, _id: 'added' }
    const adding = await master.addTask({ taskType: 'holdAddHold', data: added })
    const other = await master.addTask({ taskType: 'hold', data: {} })
    await Promise.all([master.held(adding), master.held(other)])
    // From here on nothing but the signal is a reason to poll.
    await master.call('release', other)
    await master.ending(other)
    await master.call('release', adding)
    test.equal((await master.ending('added')).value, { a: 1 })
    await master.held(adding, 2)
    await master.call('release', adding)
  })
})

Tinytest.addAsync('dispatch - in-memory tasks wait for no tick, whenever they are due', async test => {
  const options = { refreshRate: 3_600_000, keepAlive: 'always', maxAvailableWorkers: 2 } as const
  await withMaster({ options }, async master => {
    await master.resultOf({ taskType: 'echo', data: {} })
    await master.workersAre(2)
    const due = { taskType: 'echo', data: {}, inMemory: true }
    const dueIn = (milliseconds: number) => ({ ...due, dueDate: new Date(Date.now() + milliseconds) })
    const [, now = ''] = await master.call('addTasks', [{ ...dueIn(3_600_000), priority: 5 }, due])
    test.equal((await master.ending(now)).event, 'done')
    for (const _id of await master.call('addTasks', [dueIn(600), dueIn(300)])) await master.ending(_id)
    const failing = { taskType: 'fail', data: { message: 'again' }, retries: 1, backoff: 50, inMemory: true }
    test.equal((await master.run(failing)).task.attempts, 2)
  })
})

Tinytest.addAsync('app without a cluster - it adds, finds, changes and removes tasks', async test => {
  const _id = await TaskQueue.addTask({ taskType: 'NOBODY_RUNS_IT', data: { a: 1 } })
  test.equal((await TaskQueue.findOneAsync(_id))?.data, { a: 1 })
  await TaskQueue.updateAsync(_id, { $set: { priority: 7 } })
  test.equal(
    (await TaskQueue.find({ taskType: 'NOBODY_RUNS_IT' }).fetchAsync()).map(({ priority }) => priority),
    [7],
  )
  test.equal(await TaskQueue.removeAsync(_id), 1)
  test.isUndefined(await TaskQueue.findOneAsync(_id))
})

Tinytest.addAsync('app without a cluster - it cancels and retries tasks', async test => {
  const _id = await TaskQueue.addTask({ taskType: 'NOBODY_RUNS_IT', data: {} })
  test.isTrue(await TaskQueue.cancel(_id))
  test.equal((await TaskQueue.findOneAsync(_id))?.state, 'cancelled')
  test.isTrue(await TaskQueue.retry(_id))
  test.equal((await TaskQueue.findOneAsync(_id))?.state, 'waiting')
  await TaskQueue.removeAsync(_id)
})

Tinytest.addAsync('app without a cluster - the _id of a done task that is still there is free', async test => {
  const _id = await TaskQueue.addTask({ taskType: 'NOBODY_RUNS_IT', data: { a: 1 } })
  await TaskQueue.updateAsync(_id, { $set: { state: 'done' } })
  test.equal(await TaskQueue.addTask({ taskType: 'NOBODY_RUNS_IT', data: { b: 2 }, _id }), _id)
  test.equal((await TaskQueue.findOneAsync(_id))?.data, { b: 2 })
  await test.throwsAsync(() => TaskQueue.addTask({ taskType: 'NOBODY_RUNS_IT', data: {}, _id }), /already in the queue/)
  await TaskQueue.removeAsync(_id)
})

Tinytest.addAsync(
  'app without a cluster - an in-memory task is a clear error, since nobody would run it',
  async test => {
    await test.throwsAsync(
      () => TaskQueue.addTask({ taskType: 'TEST', data: {}, inMemory: true }),
      /nobody would run an in-memory task: this app has no `new Cluster`/,
    )
    test.equal(TaskQueue.inMemory.tasks(), [])
  },
)

Tinytest.addAsync(
  'app without a cluster - bad input is one error, and nothing is stored (invariant 12)',
  async test => {
    const before = await TaskQueue.find().countAsync()
    await test.throwsAsync(
      () => TaskQueue.addTask({ taskType: 'TEST', data: { callback: () => 0 } }),
      /addTask\.data\.callback is a function; allowed/,
    )
    test.equal(await TaskQueue.find().countAsync(), before)
  },
)

Tinytest.addAsync('dispatch - of many tasks whose _ids are taken in either queue, all others are added', async test => {
  await withMaster({ options: { maxAvailableWorkers: 1 } }, async master => {
    const later = { taskType: 'echo', data: {}, dueDate: new Date(Date.now() + 3_600_000) }
    const task = (_id: string, inMemory: boolean) => ({ ...later, _id, inMemory })
    await master.call('addTasks', [task('a', true), task('b', false)])
    const error = await master
      .call('addTasks', [task('a', true), task('c', true), task('b', false), task('d', false)])
      .catch((thrown: unknown) => thrown as Error & { taskIds: string[] })
    test.equal([(error as Error).name, (error as { taskIds: string[] }).taskIds], ['DuplicateTaskError', ['b', 'a']])
    test.isTrue((await master.find('c', true)) !== undefined && (await master.find('d', false)) !== undefined)
  })
})

import { Random } from 'meteor/random'
import { Tinytest } from 'meteor/tinytest'
import { DuplicateTaskError } from '../common/errors'
import { createTask, type NewTask } from '../common/task'
import { PriorityQueue } from '../server/queue/memory/priority-queue'
import { MemoryQueue } from '../server/queue/memory/memory-queue'
import { RETENTION, UNLIMITED, complete, fail, release } from './support/settle'

function openQueue(): MemoryQueue {
  const queue = new MemoryQueue(Random.id(), RETENTION)
  queue.open(() => undefined, UNLIMITED)
  return queue
}

function add(queue: MemoryQueue, given: Partial<NewTask> = {}): string {
  const task = createTask({ taskType: 'TEST', data: {}, ...given })
  const taken = queue.add([task])
  if (taken.length > 0) throw new DuplicateTaskError(taken)
  return task._id
}

const ids = (tasks: readonly { readonly _id: string }[]) => tasks.map(({ _id }) => _id)
const inAnHour = () => new Date(Date.now() + 3_600_000)
const failure = { name: 'Error', message: 'broken', stack: null, failedAt: new Date(0) }

Tinytest.add('memory queue - it hands out tasks in the order of both queues', test => {
  const queue = openQueue()
  const low = add(queue, { priority: 1 })
  const high = add(queue, { priority: 8 })
  const early = add(queue, { priority: 8, dueDate: new Date(1000) })
  const last = add(queue, { priority: 1 })
  test.equal(ids(queue.tasks()), [early, high, low, last])
  test.equal(
    Array.from({ length: 4 }, () => queue.claim()?.task._id),
    [early, high, low, last],
  )
  test.isUndefined(queue.claim())
})

Tinytest.add('memory queue - available means waiting and due', test => {
  const queue = openQueue()
  const due = add(queue)
  const running = add(queue, { priority: 9 })
  const later = add(queue, { dueDate: inAnHour() })
  queue.claim()
  test.equal(ids(queue.availableTasks()), [due])
  test.equal(ids(queue.tasks()).sort(), [due, running, later].sort())
  test.equal(queue.countDue(5), 1)
})

Tinytest.add('memory queue - a task due in 30 days is neither available nor claimed', test => {
  const queue = openQueue()
  add(queue, { dueDate: new Date(Date.now() + 30 * 24 * 3_600_000) })
  test.equal(queue.availableTasks(), [])
  test.isUndefined(queue.claim())
  test.equal(queue.countDue(1), 0)
})

Tinytest.add('memory queue - findById and removeById give the task, or undefined', test => {
  const queue = openQueue()
  const _id = add(queue, { _id: 'mine', data: { a: 1 } })
  test.equal(queue.findById(_id)?.data, { a: 1 })
  test.equal(queue.removeById(_id)?._id, 'mine')
  test.isUndefined(queue.findById(_id))
  test.isUndefined(queue.removeById(_id))
  test.isUndefined(queue.claim())
})

Tinytest.add('memory queue - an _id that is taken is refused, and the first task stays', test => {
  const queue = openQueue()
  add(queue, { _id: 'twice', data: { first: true } })
  test.throws(() => add(queue, { _id: 'twice' }), /a task with the _id "twice" is already in the queue/)
  test.equal(queue.findById('twice')?.data, { first: true })
})

Tinytest.add('memory queue - what it gives out is a copy', test => {
  const queue = openQueue()
  const _id = add(queue, { data: { list: [1] } })
  const given = queue.findById(_id)?.data as { list: number[] }
  given.list.push(2)
  test.equal(queue.findById(_id)?.data, { list: [1] })
})

Tinytest.addAsync('memory queue - a task that was removed while running lets its job end without harm', async test => {
  const queue = openQueue()
  add(queue, { _id: 'gone' })
  const claim = queue.claim()
  queue.removeById('gone')
  test.isFalse(claim && (await complete(queue, claim)))
})

Tinytest.addAsync(
  'memory queue - a task added again under its _id is not ended by the job of the first (invariant 2)',
  async test => {
    const queue = openQueue()
    add(queue, { _id: 'again' })
    const first = queue.claim()
    queue.removeById('again')
    add(queue, { _id: 'again' })
    test.isFalse(first && (await complete(queue, first)))
    test.equal(queue.findById('again')?.state, 'waiting')
    const second = queue.claim()
    test.isFalse(first && (await fail(queue, first, failure)))
    test.isTrue(second && (await complete(queue, second)))
  },
)

Tinytest.addAsync('memory queue - a task that is released runs again', async test => {
  const queue = openQueue()
  const _id = add(queue)
  const claim = queue.claim()
  test.isTrue(claim && (await release(queue, claim, { hasStarted: true })))
  test.equal(ids(queue.availableTasks()), [_id])
  test.equal(queue.claim()?.task._id, _id)
})

Tinytest.addAsync('memory queue - failed tasks are kept with their error, the last 1,000 of them', async test => {
  const queue = openQueue()
  const failed: string[] = []
  for (let i = 0; i < 1001; i++) {
    failed.push(add(queue))
    const claim = queue.claim()
    if (claim) await fail(queue, claim, failure)
  }
  test.isUndefined(queue.findById(failed[0] ?? ''))
  test.equal(queue.findById(failed[1] ?? '')?.state, 'failed')
  test.equal(queue.findById(failed[1000] ?? '')?.error?.message, 'broken')
  test.equal(queue.tasks().length, 1000)
  test.equal(queue.availableTasks(), [])
})

Tinytest.add('memory queue - a priority queue keeps its order while it is filled and emptied', test => {
  const queue = new PriorityQueue<number>((a, b) => a - b)
  const numbers = Array.from({ length: 10_000 }, (_item, index) => index)
  // Of every eight, one comes before others that are there.
  for (const number of numbers) queue.add(number % 8 === 0 ? number - 20_000 : number)
  const first = numbers.filter(number => number % 8 === 0).map(number => number - 20_000)
  const rest = numbers.filter(number => number % 8 !== 0)
  test.equal(
    Array.from({ length: 4000 }, () => queue.take()),
    [...first, ...rest.slice(0, 4000 - first.length)],
  )
  queue.add(0.5)
  queue.add(20_000)
  test.equal(queue.size, 6002)
  test.equal(
    Array.from({ length: 6002 }, () => queue.take()),
    [0.5, ...rest.slice(4000 - first.length), 20_000],
  )
  test.isUndefined(queue.take())
})

import { Tinytest } from 'meteor/tinytest'
import { createTask } from '../common/task'
import type { Entry } from '../server/queue/memory/entries'
import { WaitingEntries } from '../server/queue/memory/waiting-entries'
import { UNLIMITED } from './support/settle'

function entry(taskType: string, priority = 1): Entry {
  return { task: createTask({ taskType, data: {}, priority }) }
}

/** `rooms` by type; Infinity for any other. */
function roomsOf(rooms: Readonly<Record<string, number>>): { roomOf: (taskType: string) => number } {
  return { roomOf: taskType => rooms[taskType] ?? Infinity }
}

Tinytest.add('waiting entries - entries of all types come in one order', test => {
  const waiting = new WaitingEntries(() => true)
  const entries = [entry('A', 2), entry('B', 9), entry('C', 5), entry('A', 7), entry('B', 1)]
  for (const each of entries) waiting.add(each)
  const taken = entries.map(() => waiting.take(UNLIMITED)?.task.priority)
  test.equal(taken, [9, 7, 5, 2, 1])
  test.isUndefined(waiting.take(UNLIMITED))
})

Tinytest.add('waiting entries - a type without room holds up no other, and keeps its order', test => {
  const waiting = new WaitingEntries(() => true)
  for (const [type, priority] of [
    ['full', 9],
    ['open', 1],
    ['full', 8],
  ] as const) {
    waiting.add(entry(type, priority))
  }
  for (const none of [0, -1, -Infinity]) test.equal(waiting.count(10, roomsOf({ full: none })), 1)
  test.equal(waiting.take(roomsOf({ full: 0 }))?.task.taskType, 'open')
  test.isUndefined(waiting.take(roomsOf({ full: 0 })))
  test.equal(waiting.take(UNLIMITED)?.task.priority, 9)
  test.equal(waiting.take(UNLIMITED)?.task.priority, 8)
})

Tinytest.add('waiting entries - no more of a type are counted than it has room for, and none above the limit', test => {
  const waiting = new WaitingEntries(() => true)
  for (let n = 0; n < 5; n++) for (const type of ['A', 'B']) waiting.add(entry(type))
  test.equal(waiting.count(100, UNLIMITED), 10)
  test.equal(waiting.count(100, roomsOf({ A: 2 })), 7)
  test.equal(waiting.count(100, roomsOf({ A: 2, B: 3 })), 5)
  test.equal(waiting.count(4, roomsOf({ A: 2, B: 3 })), 4)
})

Tinytest.add('waiting entries - outdated entries are neither taken nor counted alone', test => {
  const outdated = new Set<Entry>()
  const waiting = new WaitingEntries(each => !outdated.has(each))
  const [first, second] = [entry('A', 9), entry('A', 1)]
  for (const each of [first, second]) waiting.add(each)
  outdated.add(first)
  test.equal(waiting.take(UNLIMITED), second)
  waiting.add(first)
  test.equal(waiting.count(10, UNLIMITED), 0)
  test.isUndefined(waiting.take(UNLIMITED))
})

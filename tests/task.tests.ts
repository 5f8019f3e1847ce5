import { setTimeout as pause } from 'node:timers/promises'
import { Tinytest } from 'meteor/tinytest'
import { createId } from '../common/id'
import { compareTasks } from '../common/order'
import { copyPlain } from '../common/plain'
import { createTask, type NewTask, type Task } from '../common/task'

const make = (given: Partial<NewTask> = {}) => createTask({ taskType: 'TEST', data: {}, ...given })

Tinytest.add('task - the defaults are priority 1, due now, and an _id like those of Meteor', test => {
  const before = Date.now()
  const task = make()
  test.equal(task.priority, 1)
  test.matches(task._id, /^[2-9A-HJ-NP-Za-km-z]{17}$/)
  test.equal(task.state, 'waiting')
  test.isTrue(Number(task.dueDate) >= before && Number(task.dueDate) <= Date.now())
  test.equal(task.createdAt, task.dueDate)
})

Tinytest.addAsync('task - an _id that is made comes after all that were made in earlier milliseconds', async test => {
  const earlier = Array.from({ length: 1000 }, createId)
  const last = Date.now()
  while (Date.now() === last) await pause(1)
  const later = createId()
  test.isTrue(earlier.every(id => id < later))
})

Tinytest.add('task - no two _ids that are made are the same', test => {
  const ids = Array.from({ length: 100_000 }, createId)
  test.equal(new Set(ids).size, ids.length)
})

Tinytest.add('task - one that is due later is scheduled', test => {
  test.equal(make({ dueDate: new Date(Date.now() + 60_000) }).state, 'scheduled')
})

/** Field, value, and what the one error must say. */
const REFUSED: [keyof NewTask, unknown, RegExp][] = [
  ['taskType', undefined, /addTask\.taskType is undefined; allowed: a non-empty string/],
  ['taskType', '', /addTask\.taskType is "" \(string\)/],
  ['taskType', 7, /addTask\.taskType is 7 \(number\)/],
  ['data', undefined, /addTask\.data is undefined; allowed: a plain object or an array/],
  ['data', 'text', /addTask\.data is "text" \(string\); allowed: a plain object or an array/],
  ['data', null, /addTask\.data is null; allowed: a plain object or an array/],
  ['data', new Date(0), /addTask\.data is a Date; allowed: a plain object or an array/],
  ['data', { deep: [{ callback: () => 0 }] }, /addTask\.data\.deep\[0\]\.callback is a function/],
  ['data', { map: new Map() }, /addTask\.data\.map is a Map/],
  ['data', { big: 1n }, /addTask\.data\.big is 1n \(bigint\)/],
  ['data', { when: new Date(Number.NaN) }, /addTask\.data\.when is an invalid Date/],
  ['data', { $where: 1 }, /addTask\.data\.\$where is 1 \(number\); allowed: field names/],
  ['data', { _bsontype: 'Int32' }, /addTask\.data\._bsontype is "Int32" \(string\); allowed: field names/],
  ['priority', '1', /addTask\.priority is "1" \(string\); allowed: an integer/],
  ['priority', 1.5, /addTask\.priority is 1\.5/],
  ['priority', Number.NaN, /addTask\.priority is NaN/],
  ['_id', '', /addTask\._id is ""/],
  ['_id', 12, /addTask\._id is 12 \(number\)/],
  ['dueDate', 'tomorrow', /addTask\.dueDate is "tomorrow" \(string\); allowed: a valid Date/],
  ['dueDate', new Date(Number.NaN), /addTask\.dueDate is an invalid Date/],
  ['inMemory', 'yes', /addTask\.inMemory is "yes" \(string\); allowed: true or false/],
]

for (const [index, [field, value, message]] of REFUSED.entries()) {
  Tinytest.add(`task - a ${field} that is not allowed is refused by name (${String(index + 1)})`, test => {
    test.throws(() => make({ [field]: value }), message)
  })
}

Tinytest.add('task - a field that does not exist is refused, with those that do', test => {
  const misspelt = { taskType: 'TEST', data: {}, prioritty: 2 } as NewTask
  test.throws(() => createTask(misspelt), /addTask\.prioritty is no field of a task; allowed: taskType, data/)
})

Tinytest.add('task - something that is no object is refused', test => {
  test.throws(() => createTask(null as unknown as NewTask), /addTask is null; allowed: an object {/)
})

Tinytest.add('task - data is copied in the form in which MongoDB gives it back', test => {
  const result = copyPlain({ date: new Date(5), left: undefined, list: [null, 1], bytes: new Uint8Array([1, 2]) })
  const expected = { date: new Date(5), list: [null, 1], bytes: Buffer.from([1, 2]) }
  test.equal('copy' in result && result.copy, expected)
  test.isTrue('copy' in result && Buffer.isBuffer((result.copy as { bytes: unknown }).bytes))
})

Tinytest.add('task - data that runs in a circle or too deep is refused', test => {
  const circle: Record<string, unknown> = {}
  circle.self = circle
  test.throws(() => make({ data: circle }), /allowed: at most 80 levels of nesting, and no circle/)
})

Tinytest.add('task - a field called __proto__ stays a field and pollutes nothing', test => {
  const result = copyPlain(JSON.parse('{ "__proto__": { "polluted": true } }'))
  test.isTrue('copy' in result && Object.hasOwn(result.copy as object, '__proto__'))
  test.isUndefined(({} as { polluted?: unknown }).polluted)
})

const ordered = (fields: Partial<Task>): Task => ({ ...make(), ...fields })

Tinytest.add('order - a higher priority goes first, whatever the due date', test => {
  const urgent = ordered({ priority: 2, dueDate: new Date(2000) })
  const early = ordered({ priority: 1, dueDate: new Date(1000) })
  test.equal([early, urgent].sort(compareTasks), [urgent, early])
})

Tinytest.add('order - among equal priorities the earlier due date goes first', test => {
  const late = ordered({ dueDate: new Date(2000), createdAt: new Date(0) })
  const early = ordered({ dueDate: new Date(1000), createdAt: new Date(1) })
  test.equal([late, early].sort(compareTasks), [early, late])
})

Tinytest.add('order - among equals it is first come, first served, within a millisecond too', test => {
  const at = new Date(1000)
  const tasks = Array.from({ length: 50 }, () => ordered({ dueDate: at, createdAt: at }))
  test.equal([...tasks].reverse().sort(compareTasks), tasks)
})

import { Tinytest } from 'meteor/tinytest'
import { resolveTaskMap } from '../common/task-map'
import { QUEUES } from './support/queues'
import { sharedMaster, withMaster } from './support/remote-master'
import { refused } from './support/refused'

const AT = '2026-01-01T00:00:00.000Z'

for (const { kind, inMemory } of QUEUES) {
  const where = `schemas - ${kind}`

  Tinytest.addAsync(
    `${where}: a function gets what the schema makes of the data, and the task keeps what was given`,
    async test => {
      const master = await sharedMaster()
      const task = { taskType: 'parsed', data: { at: AT }, keepDone: 3_600_000, _id: `parsed-${kind}`, inMemory }
      const [isDate, time] = (await master.call('run', task)) as unknown[]
      test.equal([isDate, time], [true, Date.parse(AT)])
      test.equal((await master.find(task._id, inMemory))?.data, { at: AT })
      test.equal(await master.call('run', { taskType: 'parsedLater', data: { at: AT }, inMemory }), Date.parse(AT))
    },
  )

  Tinytest.addAsync(`${where}: data that does not fit is rejected, and nothing is stored`, async test => {
    const master = await sharedMaster()
    const message = /of type "parsed" does not fit its schema \(data\.at\.0: Expected text; data: No data\)/
    const wrong = { taskType: 'parsed', data: { at: 7 }, _id: `wrong-${kind}`, inMemory }
    await refused(test, master.addTask(wrong), 'InvalidDataError', message)
    await refused(test, master.call('run', wrong), 'InvalidDataError', message)
    const right = {
      taskType: 'echo',
      data: {},
      _id: `right-${kind}`,
      dueDate: new Date(Date.now() + 3_600_000),
      inMemory,
    }
    await refused(
      test,
      master.call('addTasks', [right, wrong]),
      'InvalidDataError',
      /addTasks\[1\]: the data of a task of/,
    )
    for (const { _id } of [right, wrong]) test.isUndefined(await master.find(_id, inMemory))
    const later = { taskType: 'parsedLater', data: {}, inMemory }
    await refused(test, master.addTask(later), 'InvalidDataError', /of type "parsedLater"/)
    await refused(test, master.addTask({ ...wrong, data: { at: 'throw' } }), 'Error', /the schema is broken/)
  })
}

Tinytest.addAsync(
  'schemas - data that a process without the task map has added fails at once, without a run',
  async test => {
    await withMaster({ options: { keepAlive: 'always', refreshRate: 100 } }, async master => {
      await withMaster({ database: master.database, options: { withoutCluster: true } }, async web => {
        await refused(
          test,
          web.call('run', { taskType: 'parsed', data: { at: 7 }, _id: 'from the web' }),
          'InvalidDataError',
        )
        const task = await master.find('from the web', false)
        test.equal([task?.state, task?.attempts, task?.error?.name], ['failed', 1, 'InvalidDataError'])
      })
    })
  },
)

for (const [what, schema] of [
  ['an empty object', {}],
  ['a number', 7],
  ['null', null],
  ['an object without validate', { '~standard': {} }],
  ['a function', () => true],
] as const) {
  Tinytest.add(`schemas - ${what} is no schema`, test => {
    test.throws(
      () => resolveTaskMap({ sum: { run: () => 1, schema } }),
      /taskMap\.sum\.schema is .*; allowed: a Standard Schema, as Zod, Valibot and ArkType have them/,
    )
  })
}

Tinytest.add('schemas - a schema that is a function is one', test => {
  const validate = (value: unknown) => ({ value })
  const schema = Object.assign(() => undefined, { '~standard': { version: 1, vendor: 'test', validate } })
  test.equal(resolveTaskMap({ sum: { run: () => 1, schema } }).get('sum')?.schema, schema)
})

/** What does not fit through the pipe, or into a log line, is an error where it belongs: never a job that hangs, or a dead process. */
import { TaskQueue } from 'meteor/nschwarz:cluster'
import { Random } from 'meteor/random'
import { Tinytest } from 'meteor/tinytest'
import { taskLine } from '../common/log'
import { copyPlain } from '../common/plain'
import { sharedMaster } from './support/remote-master'

Tinytest.add('faults - a line break or an escape in a name is escaped in the log', test => {
  const task = { taskType: 'a\nb', _id: '\u001b[2Kc\r\u2028\u202e' }
  const line = taskLine(new Date(0), task, 'started\tnow\nnever')
  const name = 'a\\nb:\\x1b[2Kc\\r\\u2028\\u202e'
  test.equal(line, `1970-01-01T00:00:00.000Z:nschwarz:cluster:${name}\tstarted\\tnow\\nnever`)
})

Tinytest.add('faults - the further lines of a stack are indented in the log', test => {
  const stack = 'Error: a\nb\r\n    at c\n\n\td'
  const line = taskLine(new Date(0), { taskType: 'a', _id: 'b' }, 'failed', stack)
  test.equal(line.split('\t', 2)[1], 'failed: Error: a\n    b\n    at c\n\n    \\td')
})

Tinytest.add('faults - names and texts of megabytes are cut in the log', test => {
  const long = 'x'.repeat(2 ** 24)
  const line = taskLine(new Date(0), { taskType: long, _id: long }, long, long)
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
  await master.written(new RegExp(`throwLines:last${mark}\tfailed: Error: first\n {4}2026`))
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

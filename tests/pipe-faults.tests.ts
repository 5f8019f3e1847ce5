/** What does not fit through the pipe, or into a log line, is an error where it belongs: never a job that hangs, or a dead process. */
import { TaskQueue } from 'meteor/nschwarz:cluster'
import { Random } from 'meteor/random'
import { Tinytest } from 'meteor/tinytest'
import { copyPlain } from '../common/plain'

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

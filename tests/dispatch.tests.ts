import { Tinytest } from 'meteor/tinytest'
import { sharedMaster } from './support/remote-master'

Tinytest.addAsync('dispatch - a task runs in a worker and its result reaches the done listener', async test => {
  const master = await sharedMaster()
  const { event, value, task } = await master.run({ taskType: 'echo', data: { text: 'hello' } })
  test.equal(event, 'done')
  test.equal(value, { text: 'hello' })
  test.equal(task.taskType, 'echo')
})

import { setTimeout as pause } from 'node:timers/promises'
import { Meteor } from 'meteor/meteor'
import { Cluster, TaskQueue, type Job, type JobContext, type ToggleIPC } from 'meteor/nschwarz:cluster'

async function encode(job: Job<{ video: string }>, _toggleIPC: ToggleIPC, { log, progress }: JobContext) {
  log(`encoding ${job.data.video}`)
  for (let percent = 0; percent <= 100; percent += 50) {
    progress({ percent })
    await pause(200)
  }
  return `${job.data.video}.webm`
}

new Cluster({ encode })

Meteor.publish('myTasks', function () {
  return TaskQueue.findFor(this.userId, { fields: { result: 1, 'error.message': 1 } })
})

Meteor.startup(async () => {
  if (!Cluster.isMaster()) return
  TaskQueue.addEventListener('progress', ({ value, task }) => console.log(task.taskType, value))
  const taskId = await TaskQueue.addTask({ taskType: 'encode', data: { video: 'cats' }, audience: 'ada' })
  await TaskQueue.result(taskId)
  console.log('ada sees', (await TaskQueue.findFor('ada', { fields: { result: 1 } }).fetchAsync())[0]?.result)
})

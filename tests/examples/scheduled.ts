import { Meteor } from 'meteor/meteor'
import { Cluster, TaskQueue, type Job } from 'meteor/nschwarz:cluster'

const taskMap = {
  remind: (job: Job<{ userId: string }>) => console.log('reminding', job.data.userId),
}

new Cluster(taskMap)

Meteor.startup(async () => {
  if (!Cluster.isMaster()) return
  const dueDate = new Date(Date.now() + 10 * 60_000)
  const taskId = await TaskQueue.addTask({ taskType: 'remind', data: { userId: 'ada' }, priority: 5, dueDate })
  // It is a document like any other: this moves it to now.
  await TaskQueue.updateAsync(taskId, { $set: { dueDate: new Date() } })
})

import { Meteor } from 'meteor/meteor'
import { Cluster, TaskQueue, type Job } from 'meteor/nschwarz:cluster'

const taskMap = {
  mail: { run: (job: Job<{ to: string }>) => console.log('mail to', job.data.to), perMaster: 2 },
} as const

const cluster = new Cluster(taskMap)

Meteor.startup(async () => {
  if (!Cluster.isMaster()) return
  await TaskQueue.pause('mail')
  await TaskQueue.addTask({ taskType: 'mail', data: { to: 'ada@example.com' } })
  console.log('paused:', (await cluster.stats()).paused)
  await TaskQueue.resume('mail')
})

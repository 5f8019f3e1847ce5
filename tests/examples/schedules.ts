import { Meteor } from 'meteor/meteor'
import { Cluster, TaskQueue, type Job } from 'meteor/nschwarz:cluster'

const taskMap = {
  report: (job: Job<{ kind: string }>) => {
    // A run that you request has no tick.
    const at = job.tickAt ?? job.createdAt
    console.log(`writing the ${job.data.kind} report of ${at.toISOString()}`)
  },
  poll: () => {
    console.log('polling')
  },
}

new Cluster(taskMap, {
  schedules: {
    nightly: { taskType: 'report', data: { kind: 'nightly' }, cron: '30 2 * * *', timeZone: 'Europe/Berlin' },
    poll: { taskType: 'poll', every: 60_000, retries: 3 },
  },
})

Meteor.startup(async () => {
  if (!Cluster.isMaster()) return
  const listSchedules = async () => {
    for (const { name, nextAt } of await TaskQueue.schedules()) console.log(name, 'is next due at', nextAt)
  }
  TaskQueue.on('done', listSchedules, { taskType: 'report' })
  await TaskQueue.runSchedule('nightly')
})

import { Meteor } from 'meteor/meteor'
import { Cluster, TaskQueue, type Job } from 'meteor/nschwarz:cluster'

const taskMap = {
  report: (job: Job<{ kind: string }>) => {
    console.log(`writing the ${job.data.kind} report of ${job.dueDate.toISOString()}`)
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
  TaskQueue.addEventListener('done', async ({ task }) => {
    if (task.taskType === 'report') await TaskQueue.pauseSchedule('poll')
    for (const { name, nextAt } of await TaskQueue.schedules()) console.log(name, 'is next due at', nextAt)
  })
  await TaskQueue.runSchedule('nightly')
})

import { Meteor } from 'meteor/meteor'
import { Cluster, TaskQueue, type Job } from 'meteor/nschwarz:cluster'

const taskMap = {
  charge: (job: Job<{ amount: number }>) => {
    throw Object.assign(new Error('card refused'), { code: 'E_REFUSED', amount: job.data.amount })
  },
}

new Cluster(taskMap, { logs: 'error' })

Meteor.startup(async () => {
  if (!Cluster.isMaster()) return
  TaskQueue.addEventListener('error', async ({ value, task }) => {
    console.log(value.message, (value as Error & { code?: string }).code)
    console.log((await TaskQueue.findOneAsync(task._id))?.state)
    await TaskQueue.removeAsync(task._id)
  })
  await TaskQueue.addTask({ taskType: 'charge', data: { amount: 5 } })
})

import { Meteor } from 'meteor/meteor'
import { Cluster, TaskQueue, type Job } from 'meteor/nschwarz:cluster'

const taskMap = {
  sum: (job: Job<{ numbers: number[] }>) => job.data.numbers.reduce((total, number) => total + number, 0),
  invoice: {
    run: (job: Job<{ order: string }>) => `the invoice of ${job.data.order}`,
    keepDone: 24 * 3_600_000,
  },
}

new Cluster(taskMap)

Meteor.startup(async () => {
  if (!Cluster.isMaster()) return
  console.log('the sum is', await TaskQueue.run({ taskType: 'sum', data: { numbers: [1, 2, 3] } }))

  // The second call joins the task of the first, or gets the result that is kept: it runs once.
  const task = { taskType: 'invoice', data: { order: 'A7' }, _id: 'invoice-A7' }
  console.log(await Promise.all([TaskQueue.run(task), TaskQueue.run(task)]))

  const taskId = await TaskQueue.addTask({ taskType: 'invoice', data: { order: 'B8' } })
  console.log(await TaskQueue.result(taskId, { timeout: 60_000 }))
})

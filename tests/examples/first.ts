import { Meteor } from 'meteor/meteor'
import { Cluster, TaskQueue, type Job } from 'meteor/nschwarz:cluster'

const taskMap = {
  sum: (job: Job<{ numbers: number[] }>) => job.data.numbers.reduce((total, number) => total + number, 0),
}

new Cluster(taskMap, { maxAvailableWorkers: 1 })

Meteor.startup(async () => {
  if (!Cluster.isMaster()) return
  TaskQueue.addEventListener('done', ({ value, task }) => console.log(task.taskType, 'is', value))
  TaskQueue.addEventListener('error', ({ value, task }) => console.error(task.taskType, 'failed:', value))
  await TaskQueue.addTask({ taskType: 'sum', data: { numbers: [1, 2, 3] } })
})

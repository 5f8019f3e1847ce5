import { Meteor } from 'meteor/meteor'
import { Cluster, TaskQueue, type Job } from 'meteor/nschwarz:cluster'

const taskMap = {
  warmCache: (job: Job<{ page: string }>) => console.log('warming', job.data.page),
}

new Cluster(taskMap, { maxAvailableWorkers: 1 })

Meteor.startup(async () => {
  if (!Cluster.isMaster()) return
  const taskId = await TaskQueue.addTask({ taskType: 'warmCache', data: { page: '/' }, inMemory: true })
  console.log('available:', TaskQueue.inMemory.availableTasks().length)
  console.log('found:', TaskQueue.inMemory.findById(taskId)?.taskType)
  const forgotten = await TaskQueue.addTask({ taskType: 'warmCache', data: { page: '/old' }, inMemory: true })
  TaskQueue.inMemory.removeById(forgotten)
  console.log('left:', TaskQueue.inMemory.tasks().length)
})

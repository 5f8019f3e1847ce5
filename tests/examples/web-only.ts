import { Meteor } from 'meteor/meteor'
import { TaskQueue } from 'meteor/nschwarz:cluster'

// No `new Cluster` here: another app on the same database runs the task.
Meteor.startup(async () => {
  const taskId = await TaskQueue.addTask({ taskType: 'resize', data: { image: 'logo.png' } })
  console.log('added:', (await TaskQueue.findOneAsync(taskId))?.state)
})

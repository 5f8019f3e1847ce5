// server/imports/master.ts: publications, methods, REST endpoints, pages, crons, observers
import { Meteor } from 'meteor/meteor'
import { TaskQueue } from 'meteor/nschwarz:cluster'

Meteor.startup(async () => {
  TaskQueue.addEventListener('done', ({ value }) => console.log('done:', value))
  await TaskQueue.addTask({ taskType: 'resize', data: {} })
})

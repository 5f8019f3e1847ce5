import { Template } from 'meteor/templating'
import { TaskQueue } from 'meteor/nschwarz:cluster'
import './my-tasks.html'

Template.myTasks.onCreated(function () {
  this.subscribe('myTasks')
})
Template.myTasks.helpers({ tasks: () => TaskQueue.find({}, { sort: { createdAt: -1 } }) })

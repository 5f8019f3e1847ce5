import { Meteor } from 'meteor/meteor'
import { Cluster, TaskQueue, type LogEntry } from 'meteor/nschwarz:cluster'

function writeJson({ error, ...entry }: LogEntry): void {
  console.log(JSON.stringify({ ...entry, stack: error?.stack }))
}

new Cluster({ greet: () => 'hello' }, { logs: writeJson })

Meteor.startup(async () => {
  if (Cluster.isMaster()) await TaskQueue.addTask({ taskType: 'greet', data: {} })
})

import { Meteor } from 'meteor/meteor'
import { Cluster, TaskQueue, type Job, type MessageBroker, type ToggleIPC } from 'meteor/nschwarz:cluster'

function importRows(job: Job<{ rows: number }>, toggleIPC: ToggleIPC): Promise<string> {
  return toggleIPC(
    answer => `imported ${String(job.data.rows)} rows; the master said ${String(answer)}`,
    sendMessageToMaster => {
      sendMessageToMaster({ status: 2, data: { rows: job.data.rows } })
    },
  )
}

const messageBroker: MessageBroker = (respond, { status, data }, task) => {
  console.log('message of', task.taskType, status, data)
  respond('thanks')
}

new Cluster({ importRows }, { messageBroker })

Meteor.startup(async () => {
  if (!Cluster.isMaster()) return
  TaskQueue.addEventListener('done', ({ value }) => console.log(value))
  await TaskQueue.addTask({ taskType: 'importRows', data: { rows: 3 } })
})

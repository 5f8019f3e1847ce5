import { Meteor } from 'meteor/meteor'
import { Cluster, TaskQueue } from 'meteor/nschwarz:cluster'

new Cluster({ report: () => 'done' })

/** Only a user who may follow a task may cancel it. */
async function cancelOwn(userId: string | null, taskId: string): Promise<boolean> {
  if (userId === null || (await TaskQueue.findOneAsync({ _id: taskId, audience: userId })) === undefined) {
    throw new Meteor.Error('no-such-task', 'You have no such task')
  }
  return TaskQueue.cancel(taskId)
}

Meteor.methods({
  cancelTask(taskId: string) {
    return cancelOwn(this.userId, taskId)
  },
})

Meteor.startup(async () => {
  if (!Cluster.isMaster()) return
  const dueDate = new Date(Date.now() + 60_000)
  const taskId = await TaskQueue.addTask({ taskType: 'report', data: {}, dueDate, audience: 'ada' })
  console.log('by bob:', await cancelOwn('bob', taskId).catch((error: unknown) => (error as Meteor.Error).reason))
  console.log('by ada:', await cancelOwn('ada', taskId))
})

import { Meteor } from 'meteor/meteor'
import { Cluster, TaskQueue } from 'meteor/nschwarz:cluster'

const taskMap = {
  mail: () => {
    throw new Error('no connection')
  },
}

const cluster = new Cluster(taskMap)

/** Stands in for your own check. */
const ADMINS: readonly string[] = ['ada']

function checkAdmin(userId: string | null): void {
  if (userId === null || !ADMINS.includes(userId)) throw new Meteor.Error('not-allowed', 'You are not an administrator')
}

/** @returns how many tasks of the type were retried */
async function retryFailed(taskType: string): Promise<number> {
  const failed = await TaskQueue.find({ taskType, state: 'failed' }, { fields: { _id: 1 } }).fetchAsync()
  const retried = await Promise.all(failed.map(({ _id }) => TaskQueue.retry(_id)))
  return retried.filter(Boolean).length
}

Meteor.methods({
  async queueStatus() {
    checkAdmin(this.userId)
    return { counts: await TaskQueue.counts(), ...(await cluster.stats()) }
  },
  pauseType(taskType: string) {
    checkAdmin(this.userId)
    return TaskQueue.pause(taskType)
  },
  async retryAndResume(taskType: string) {
    checkAdmin(this.userId)
    const retried = await retryFailed(taskType)
    return { retried, wasPaused: await TaskQueue.resume(taskType) }
  },
  cancelTask(taskId: string) {
    checkAdmin(this.userId)
    return TaskQueue.cancel(taskId)
  },
})

Meteor.startup(async () => {
  if (!Cluster.isMaster()) return
  const { stop } = TaskQueue.on('error', async () => {
    stop()
    console.log('retried:', await retryFailed('mail'))
  })
  await TaskQueue.addTask({ taskType: 'mail', data: {} })
  try {
    await Meteor.callAsync('pauseType', 'mail')
  } catch (error) {
    console.log('without a user:', (error as Meteor.Error).reason)
  }
})

import { Cluster, TaskQueue, testing, type Job } from 'meteor/nschwarz:cluster'

const taskMap = {
  welcome: async (job: Job<{ userId: string }>) => {
    await TaskQueue.addTask({ taskType: 'mail', data: { to: job.data.userId, template: 'welcome' } })
  },
  mail: (job: Job<{ to: string; template: string }>) => `sent ${job.data.template} to ${job.data.to}`,
}

new Cluster(taskMap)

/** In a test of yours: `it('welcomes a new user', welcomesNewUser)`. */
export async function welcomesNewUser(): Promise<void> {
  await testing.mode('inline')
  await TaskQueue.addTask({ taskType: 'welcome', data: { userId: 'ada' } })
  await testing.assertAdded({ taskType: 'mail', data: { to: 'ada' } })
  const { _id } = await testing.waitFor({ taskType: 'mail' }, 'done')
  console.log('done:', _id)
  console.log(await testing.perform('mail', { to: 'bob', template: 'hello' }))
}

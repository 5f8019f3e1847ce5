import { Meteor } from 'meteor/meteor'
import { Cluster, TaskQueue, type Job, type JobContext, type ToggleIPC } from 'meteor/nschwarz:cluster'

async function fetchFeed(job: Job<{ url: string }>, _toggleIPC: ToggleIPC, { signal, attempt }: JobContext) {
  console.log('fetching', job.data.url, 'attempt', attempt)
  // Whatever takes a signal ends early when the task is cancelled, or takes too long.
  const response = await fetch(job.data.url, { signal })
  return response.status
}

const taskMap = {
  fetchFeed: {
    run: fetchFeed,
    timeout: 30_000,
    retries: 2,
    backoff: { type: 'exponential', delay: 100, maxDelay: 60_000, jitter: 0.5 },
  },
} as const

new Cluster(taskMap)

Meteor.startup(async () => {
  if (!Cluster.isMaster()) return
  TaskQueue.addEventListener('retry', ({ value, task }) => console.warn(task.taskType, 'tried again:', value.message))
  TaskQueue.addEventListener('error', ({ task }) => console.error('given up after', task.attempts, 'attempts'))
  TaskQueue.addEventListener('cancelled', ({ task }) => console.log('cancelled', task._id))
  // Nobody listens there.
  await TaskQueue.addTask({ taskType: 'fetchFeed', data: { url: 'http://127.0.0.1:9' } })
  const later = { taskType: 'fetchFeed', data: { url: 'http://127.0.0.1:9' }, dueDate: new Date(Date.now() + 60_000) }
  await TaskQueue.cancel(await TaskQueue.addTask({ ...later, _id: 'not needed' }))
})

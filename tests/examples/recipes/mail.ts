import { Meteor } from 'meteor/meteor'
import { Mongo } from 'meteor/mongo'
import {
  Cluster,
  RetryLaterError,
  TaskFatalError,
  TaskQueue,
  type Job,
  type JobContext,
  type ToggleIPC,
} from 'meteor/nschwarz:cluster'

const SentMails = new Mongo.Collection<{ _id: string; sentAt: Date }>('sentMails')

/** Stands in for the email provider's client: it is busy at first, and knows no such address as `nobody`. */
function send(to: string, attempt: number): void {
  if (to === 'nobody') throw Object.assign(new Error('no such address'), { status: 550 })
  if (attempt === 1) throw Object.assign(new Error('too many requests'), { status: 429 })
}

const taskMap = {
  mail: {
    run: async (job: Job<{ to: string }>, _toggleIPC: ToggleIPC, { attempt }: JobContext) => {
      // A job may run again after a crash: what was sent is not sent again.
      if ((await SentMails.findOneAsync(job._id)) !== undefined) return 'was sent before'
      try {
        send(job.data.to, attempt)
      } catch (error) {
        const { status } = error as { status?: number }
        // The provider says when to come back: no failure. An address that does not exist will not exist later.
        if (status === 429) throw new RetryLaterError(100)
        if (status === 550) throw new TaskFatalError(error as Error)
        throw error
      }
      await SentMails.insertAsync({ _id: job._id, sentAt: new Date() })
      return 'sent'
    },
    retries: 8,
    timeout: 30_000,
    backoff: { type: 'exponential', delay: 1000, maxDelay: 3_600_000, jitter: 0.5 },
  },
} as const

new Cluster(taskMap)

Meteor.startup(async () => {
  if (!Cluster.isMaster()) return
  TaskQueue.on('error', ({ value, task }) => console.error('not sent:', task._id, value.message), { taskType: 'mail' })
  await TaskQueue.addTask({ taskType: 'mail', data: { to: 'nobody' }, _id: 'welcome-7' })
  console.log('ada:', await TaskQueue.run({ taskType: 'mail', data: { to: 'ada' }, _id: 'welcome-8' }))
})

import { Meteor } from 'meteor/meteor'
import { Cluster, DuplicateTaskError, TaskQueue, type Job } from 'meteor/nschwarz:cluster'

const EVERY = 10 * 60_000

/** The _id names the tick, so two instances, or a job that runs again, add one task for it. */
async function addReportAfter(time: number): Promise<void> {
  const dueDate = new Date((Math.floor(time / EVERY) + 1) * EVERY)
  try {
    await TaskQueue.addTask({
      taskType: 'report',
      data: { at: dueDate },
      dueDate,
      _id: `report-${dueDate.toISOString()}`,
    })
  } catch (error) {
    if (!(error instanceof DuplicateTaskError)) throw error
  }
}

const taskMap = {
  report: async (job: Job<{ at: Date }>) => {
    // First, so that a report that fails does not end the chain. After now, so that missed runs are not caught up.
    await addReportAfter(Math.max(Date.now(), job.data.at.getTime()))
    console.log('writing the report')
  },
}

new Cluster(taskMap)

Meteor.startup(async () => {
  if (Cluster.isMaster()) await addReportAfter(Date.now())
})

import { Meteor } from 'meteor/meteor'
import { Cluster, DuplicateTaskError, TaskQueue, type Job, type TaskState } from 'meteor/nschwarz:cluster'

async function addReport(at: Date): Promise<void> {
  try {
    // The _id says which run it is: a job that is repeated after a crash adds no second successor.
    await TaskQueue.addTask({ taskType: 'report', data: { at }, dueDate: at, _id: `report-${at.toISOString()}` })
  } catch (error) {
    if (!(error instanceof DuplicateTaskError)) throw error
  }
}

const taskMap = {
  report: async (job: Job<{ at: Date }>) => {
    console.log('writing the report')
    // Not from its dueDate, which a retry moves.
    await addReport(new Date(job.data.at.getTime() + 10 * 60_000))
  },
}

new Cluster(taskMap)

Meteor.startup(async () => {
  if (!Cluster.isMaster()) return
  const unfinished: TaskState[] = ['scheduled', 'waiting', 'running']
  const found = await TaskQueue.findOneAsync({ taskType: 'report', state: { $in: unfinished } })
  if (found === undefined) await addReport(new Date())
})

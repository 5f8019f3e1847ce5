import { Meteor } from 'meteor/meteor'
import { Cluster, TaskQueue, type Job } from 'meteor/nschwarz:cluster'

const taskMap = {
  report: (job: Job<{ year: number }>) => ({ year: job.data.year, total: job.data.year * 12 }),
}

new Cluster(taskMap)

Meteor.methods({
  async report(args: { requestId: string; year: number }) {
    // Later methods of this client need not wait for this one.
    this.unblock()
    const { requestId, year } = args
    // A client that reconnects calls the method again: the second call joins the task of the first. The `_id` names
    // the user, so that nobody else can join it.
    const _id = `report-${String(this.userId)}-${requestId}`
    return TaskQueue.run({ taskType: 'report', data: { year }, _id })
  },

  /** When the client goes away, the task is cancelled. So it has no `_id` by which another call could join it. */
  async preview(year: number) {
    this.unblock()
    const controller = new AbortController()
    this.connection?.onClose(() => {
      controller.abort()
    })
    return TaskQueue.run({ taskType: 'report', data: { year } }, { signal: controller.signal })
  },
})

Meteor.startup(async () => {
  if (!Cluster.isMaster()) return
  console.log('the report:', await Meteor.callAsync('report', { requestId: 'a1', year: 2026 }))
})

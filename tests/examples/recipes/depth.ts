import { Meteor } from 'meteor/meteor'
import { Cluster, TaskQueue } from 'meteor/nschwarz:cluster'

const cluster = new Cluster({ report: () => 'done' })

const EVERY_MS = 10_000

/** How many tasks wait, for how many seconds the oldest has waited, and how busy the workers are. */
async function depth() {
  const { failed, oldestDueDate, waiting } = await TaskQueue.counts({ limit: 1_000_000 })
  const { workers } = await cluster.stats()
  const oldest = oldestDueDate === undefined ? 0 : (Date.now() - Number(oldestDueDate)) / 1000
  return { waiting, failed, oldest, workers: workers.map(({ jobs, rss }) => ({ jobs, rss })) }
}

Meteor.startup(async () => {
  // Each worker runs this file, too.
  if (!Cluster.isMaster()) return
  await TaskQueue.addTask({ taskType: 'report', data: {}, dueDate: new Date(Date.now() + 60_000) })
  console.log('depth', JSON.stringify(await depth()))
  Meteor.setInterval(() => {
    depth().then(console.log, console.error)
  }, EVERY_MS)
})

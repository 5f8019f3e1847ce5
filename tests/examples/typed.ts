import { Meteor } from 'meteor/meteor'
import { Cluster, TaskQueue, type Job } from 'meteor/nschwarz:cluster'

const taskMap = {
  sum: (job: Job<{ numbers: number[] }>) => job.data.numbers.reduce((total, number) => total + number, 0),
  mail: { run: (job: Job<{ to: string }>) => `sent to ${job.data.to}`, retries: 3 },
} as const

/* In your app, once:
declare module 'meteor/nschwarz:cluster' {
  interface Register { tasks: typeof taskMap }
}
*/

new Cluster(taskMap)

Meteor.startup(async () => {
  if (!Cluster.isMaster()) return
  // With the declaration, the compiler knows that this is a number, and refuses `summ` and `{ numbers: ['1'] }`.
  console.log('the sum is', await TaskQueue.run({ taskType: 'sum', data: { numbers: [1, 2, 3] } }))
})

/** The entry, of the master and of its workers alike. */
import { Cluster } from 'meteor/nschwarz:cluster'
import { taskMap } from './tasks'

/** Enough for any machine to show what it has to gain; each worker takes about 125 MB. */
const MOST_WORKERS = 8

// 'always': the workers are forked once, at the start, so that no task waits for one to boot.
new Cluster(taskMap, {
  keepAlive: 'always',
  maxAvailableWorkers: Math.min(Cluster.maxWorkers(), MOST_WORKERS),
  logs: 'error',
  // Ahead of all the flags that were due before.
  schedules: { report: { taskType: 'report', every: 3000, priority: 10 } },
})

// All that a worker has no use for: the web pages, the listeners, what is done at start-up.
if (Cluster.isMaster()) await import('./master')

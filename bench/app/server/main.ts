/**
 * The server that is measured: a master that the bench drives over the pipe of its process. Its workers load this file
 * too.
 */
import { Meteor } from 'meteor/meteor'
import { Cluster } from 'meteor/nschwarz:cluster'
import { readSettings, serve } from '../../serve'
import { Completions } from './completions'
import { Gate } from './gate'
import { taskMap } from './tasks'

const { workers, runsJobs, options } = readSettings()
const gate = new Gate(workers)

if (runsJobs) new Cluster(taskMap, { ...options, maxAvailableWorkers: workers, messageBroker: gate.messageBroker })

// Workers load no more than those of an application would.
if (Cluster.isMaster()) {
  Meteor.startup(async () => {
    const { operationsOf } = await import('./operations')
    serve(operationsOf(gate, runsJobs ? new Completions() : undefined))
  })
}

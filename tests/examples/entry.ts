import { Cluster } from 'meteor/nschwarz:cluster'
import { taskMap } from './entry-tasks'

new Cluster(taskMap)

// Publications, methods, REST endpoints, pages: what a worker never needs, and should not load.
if (Cluster.isMaster()) void import('./entry-master')

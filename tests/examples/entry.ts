// server/main.ts
import { Cluster } from 'meteor/nschwarz:cluster'
import { taskMap } from './imports/tasks'

new Cluster(taskMap)

if (Cluster.isMaster()) void import('./imports/master')

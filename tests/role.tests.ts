import { Tinytest } from 'meteor/tinytest'
import { takeRole } from '../server/role'

const WORKER = { NSCHWARZ_CLUSTER_WORKER: '1' }

Tinytest.add('role - a process is a worker when its environment says so, and the master otherwise', test => {
  test.equal(takeRole({}, { ...WORKER }), 'worker')
  test.equal(takeRole({}, {}), 'master')
})

Tinytest.add('role - a second copy of the module comes to the same answer, after the variable is gone', test => {
  const shared = {}
  const env: NodeJS.ProcessEnv = { ...WORKER }
  test.equal(takeRole(shared, env), 'worker')
  test.isUndefined(env.NSCHWARZ_CLUSTER_WORKER)
  test.equal(takeRole(shared, env), 'worker')
})

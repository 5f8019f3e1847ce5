/** The last suite: the tests leave nothing behind. */
import { Tinytest } from 'meteor/tinytest'
import { databasesOfTests } from './support/database'
import { isAlive } from './support/processes'
import { stopSharedMaster } from './support/remote-master'
import { forkedPids } from './support/remote-server'
import { eventually } from './support/wait'

Tinytest.addAsync('leftovers - no process and no database of the tests is left', async test => {
  await stopSharedMaster()
  test.isTrue(forkedPids.size > 0)
  // A worker notices within seconds that its master is gone.
  await eventually('no process is left', () => ![...forkedPids].some(isAlive))
  test.equal(await databasesOfTests(), [])
})

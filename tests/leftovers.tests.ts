/** The last suite: the tests leave nothing behind. */
import { Tinytest } from 'meteor/tinytest'
import { databasesOfTests } from './support/database'
import { stopSharedMaster } from './support/remote-master'
import { forkedProcesses } from './support/remote-server'
import { eventually } from './support/wait'

Tinytest.addAsync('leftovers - no process and no database of the tests is left', async test => {
  await stopSharedMaster()
  test.isTrue(forkedProcesses.size > 0)
  // A worker notices within seconds that its master is gone.
  await eventually('no process is left', () => forkedProcesses.living.length === 0)
  test.equal(await databasesOfTests(), [])
})

/** The last suite: the tests leave nothing behind. */
import { Tinytest } from 'meteor/tinytest'
import { databasesOfTests } from './support/database'
import { isAlive } from './support/processes'
import { stopSharedMaster } from './support/remote-master'
import { forkedPids } from './support/remote-server'

Tinytest.addAsync('leftovers - no process and no database of the tests is left', async test => {
  await stopSharedMaster()
  test.isTrue(forkedPids.size > 0)
  test.equal([...forkedPids].filter(isAlive), [])
  test.equal(await databasesOfTests(), [])
})

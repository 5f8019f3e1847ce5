import { Tinytest } from 'meteor/tinytest'
import { taskLine } from '../common/log'
import { sharedMaster, withMaster } from './support/remote-master'

const TIMESTAMP = '\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}\\.\\d{3}Z'

Tinytest.add('logs - a line is timestamp, package, taskType and taskId, then what happened', test => {
  const line = taskLine(new Date(0), { taskType: 'TEST', _id: 'abc' }, 'started')
  test.equal(line, '1970-01-01T00:00:00.000Z:nschwarz:cluster:TEST:abc\tstarted')
})

Tinytest.addAsync('logs - start, done with its milliseconds, and error are each a line', async test => {
  const master = await sharedMaster()
  const { task: done } = await master.run({ taskType: 'echo', data: {} })
  const { task: failed } = await master.run({ taskType: 'fail', data: { message: 'for the log' } })
  const prefix = (type: string, _id: string) => `${TIMESTAMP}:nschwarz:cluster:${type}:${_id}\t`
  await master.written(new RegExp(`${prefix('echo', done._id)}started\n`))
  await master.written(new RegExp(`${prefix('echo', done._id)}done in \\d+ ms\n`))
  await master.written(new RegExp(`${prefix('fail', failed._id)}failed: .*for the log`))
  test.notMatches(master.output, new RegExp(`fail:${failed._id}\tdone`))
})

Tinytest.addAsync(
  "logs - with 'error' only errors and warnings are shown, of the master and of the workers",
  async test => {
    await withMaster({ options: { logs: 'error', maxAvailableWorkers: 10_000 } }, async master => {
      await master.resultOf({ taskType: 'echo', data: {} })
      const { task } = await master.run({ taskType: 'fail', data: { message: 'still shown' } })
      await master.written(new RegExp(`fail:${task._id}\tfailed: .*still shown`))
      await master.written(/WARNING\tmaxAvailableWorkers is 10000; using \d+/)
      test.notMatches(master.output, /\tstarted|\tdone in/)
    })
  },
)

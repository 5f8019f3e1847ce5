/** Faults of what is written when a job ends, and of what it reports while it runs. */
import { Tinytest } from 'meteor/tinytest'
import { createTask } from '../common/task'
import { behindCommandGate } from './support/behind-command-gate'
import { type Command, type Verdict, isDeletion } from './support/command-gate'
import { KILLER_VARIABLE } from './support/remote-protocol'
import { type RemoteMaster, withMaster } from './support/remote-master'
import { eventually } from './support/wait'

const WARM = { maxAvailableWorkers: 1, keepAlive: 'always' } as const
const THREE_JOBS = { ...WARM, workerConcurrency: 3, leaseDuration: 600_000 } as const

function hold(isHeld: (command: Command) => boolean) {
  return (command: Command): Verdict => (isHeld(command) ? 'hold' : 'pass')
}

/** Starts a job for each of these tasks. */
async function startAll(master: RemoteMaster, taskTypes: Readonly<Record<string, string>>): Promise<void> {
  await master.workersAre(1)
  for (const [_id, taskType] of Object.entries(taskTypes)) {
    await master.addTask({ taskType, data: {}, _id })
    await master.held(_id)
  }
}

/** Ends these jobs, whose outcomes the master has then read. */
async function endAll(master: RemoteMaster, ids: readonly string[]): Promise<void> {
  for (const _id of ids) await master.call('release', _id)
  await master.resultOf({ taskType: 'echo', data: {}, inMemory: true })
}

Tinytest.addAsync('faults - what a job has reported is stored, though its end overtakes the report', async test => {
  const isReport = ({ body, name }: Command) =>
    name === 'update' && JSON.stringify(body).includes('{"$set":{"progress"')
  await behindCommandGate(hold(isReport), WARM, async (master, gate) => {
    const data = { values: [7], lines: ['a line'], holds: true }
    const _id = await master.addTask({ taskType: 'report', data, keepDone: 3_600_000 })
    await master.held(_id)
    await eventually('the report is sent', () => gate.commands.some(isReport))
    await master.call('release', _id)
    await master.ending(_id)
    const done = await master.find(_id, false)
    test.equal([done?.progress, done?.log?.map(({ text }) => text)], [7, ['a line']])
  })
})

Tinytest.addAsync('faults - a done task that is added again at once has its event', async test => {
  await behindCommandGate(
    () => 'pass',
    THREE_JOBS,
    async (master, gate) => {
      const { tasks } = master.database
      await startAll(master, { first: 'hold', again: 'hold', removed: 'hold' })
      gate.judge = hold(isDeletion)
      await master.call('release', 'first')
      await eventually('its deletion is sent', () => gate.commands.filter(isDeletion).length === 1)
      // One write is to delete both.
      await endAll(master, ['again', 'removed'])
      await tasks.deleteOne({ _id: 'removed' })
      const isLookUp = ({ body, name }: Command) =>
        name === 'find' && JSON.stringify(body).includes('"$in":["again","removed"]')
      gate.release()
      gate.judge = hold(isLookUp)
      await eventually('who is left is asked', () => gate.commands.some(isLookUp))
      await tasks.insertOne({ ...createTask({ taskType: 'unknown here', data: {}, _id: 'again' }) })
      gate.release()
      test.equal((await master.ending('again')).event, 'done')
    },
  )
})

Tinytest.addAsync('faults - a failed task that is retried at once has its event', async test => {
  await behindCommandGate(
    () => 'pass',
    THREE_JOBS,
    async (master, gate) => {
      await startAll(master, { first: 'hold', failing: 'holdThenFail', removed: 'holdThenFail' })
      gate.judge = hold(isDeletion)
      await master.call('release', 'first')
      await eventually('its deletion is sent', () => gate.commands.filter(isDeletion).length === 1)
      // One write is to fail both, and falls short, so that each is written by itself.
      await endAll(master, ['failing', 'removed'])
      await master.database.tasks.deleteOne({ _id: 'removed' })
      const isUpdate = (command: Command) => command.name === 'findAndModify' && !isDeletion(command)
      const isSettlement = (command: Command) => isUpdate(command) && 'claim.token' in (command.body.query as object)
      gate.release()
      gate.judge = hold(isSettlement)
      await eventually('it is failed', async () => (await master.find('failing', false))?.state === 'failed')
      await eventually('it is written again', () => gate.commands.some(isSettlement))
      await master.call('pause', 'holdThenFail')
      await master.call('retry', 'failing')
      gate.release()
      const { event } = await master.ending('failing')
      test.equal(event, 'error')
    },
  )
})

for (const log of [5, 'text', {}, ['text'], [null], [{ at: 1 }]]) {
  Tinytest.addAsync(`faults - a document with the log ${JSON.stringify(log)} ends no process`, async test => {
    await withMaster({ options: WARM }, async master => {
      const task = createTask({ taskType: 'report', data: { lines: ['a line'] }, _id: 'foreign', keepDone: 3_600_000 })
      await master.database.tasks.insertOne({ ...task, log })
      await master.ending('foreign')
      test.equal(
        (await master.find('foreign', false))?.log?.map(({ text }) => text),
        ['a line'],
      )
    })
  })
}

Tinytest.addAsync(
  'faults - a task that kills its worker before any of several starts holds up the others for a while only',
  async test => {
    await withMaster(
      { options: { ...WARM, workerConcurrency: 2 }, env: { [KILLER_VARIABLE]: 'killer' } },
      async master => {
        const echo = { taskType: 'echo', data: {} }
        await master.call('addTasks', [
          { ...echo, _id: 'killer' },
          { ...echo, _id: 'healthy' },
        ])
        test.equal((await master.ending('healthy')).event, 'done')
        test.equal(((await master.ending('killer')).value as Error).name, 'WorkerCrashError')
      },
    )
  },
)

Tinytest.addAsync('faults - a worker that has closed its pipe, and lives on, is replaced', async test => {
  await withMaster({ options: { ...WARM, withLimits: true } }, async master => {
    const pid = await master.resultOf({ taskType: 'disconnects', data: {} })
    await eventually('it is gone', () => !master.workerPids.includes(pid as number))
    test.equal(await master.resultOf({ taskType: 'echo', data: { n: 1 } }), { n: 1 })
  })
})

for (const field of ['priority', 'sequence']) {
  Tinytest.addAsync(`faults - documents whose ${field} cannot be compared hold up no others`, async test => {
    await withMaster({ options: { ...WARM, withLimits: true } }, async master => {
      const echo = { taskType: 'echo', data: {} }
      const foreign = ['a', 'b'].map(_id => ({ ...createTask({ ...echo, _id }), [field]: { toString: 1, valueOf: 2 } }))
      await master.database.tasks.insertMany(foreign)
      test.equal((await master.ending(await master.addTask(echo))).event, 'done')
    })
  })
}

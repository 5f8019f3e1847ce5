import { type TestCaseResults, Tinytest } from 'meteor/tinytest'
import { createLog } from '../common/log'
import { encodeProgress } from '../common/report'
import { Events } from '../server/master/claims/events'
import { HeldClaim } from '../server/master/claims/held-claim'
import { Reports } from '../server/master/claims/reports'
import { Listeners } from '../server/queue/listeners'
import { claimedInMemory, waiters } from './support/settle'
import { behindTap, isOnQueue } from './support/behind-tap'
import { QUEUES } from './support/queues'
import { type RemoteMaster, behindGate, sharedMaster, withDatabase, withMaster } from './support/remote-master'
import { eventually } from './support/wait'
import type { Command, WireTap } from './support/wire-tap'

function progressOf(master: RemoteMaster, _id: string): unknown[] {
  return master.notices('progress').flatMap(({ task, value }) => (task._id === _id ? [value] : []))
}

for (const { kind, inMemory } of QUEUES) {
  const where = `reports - ${kind}`

  Tinytest.addAsync(`${where}: the last value of progress is emitted and stored while the job runs`, async test => {
    const master = await sharedMaster()
    const data = { values: [1, 2, { percent: 50, at: new Date(7) }], holds: true }
    const _id = await master.addTask({ taskType: 'report', data, inMemory })
    await master.held(_id)
    await eventually('it is stored', async () => (await master.find(_id, inMemory))?.progress !== undefined)
    await eventually('the last wins', async () => typeof (await master.find(_id, inMemory))?.progress === 'object')
    test.equal((await master.find(_id, inMemory))?.progress, { percent: 50, at: new Date(7) })
    test.equal(progressOf(master, _id).at(-1), { percent: 50, at: new Date(7) })
    test.equal(master.notices('progress').find(({ task }) => task._id === _id)?.task.state, 'running')
    await master.call('release', _id)
    test.equal((await master.ending(_id)).event, 'done')
  })

  Tinytest.addAsync(`${where}: a job that blocks its worker reports all the same`, async test => {
    const master = await sharedMaster()
    const _id = await master.addTask({ taskType: 'reportBlocking', data: { milliseconds: 1000 }, inMemory })
    await eventually('it has reported', () => progressOf(master, _id).length > 2)
    test.isFalse(
      master.endings.some(({ task }) => task._id === _id),
      'while it runs',
    )
    await master.ending(_id)
    const reports = progressOf(master, _id).length
    test.isTrue(reports <= 12, `${String(reports)} reports in a second`)
  })

  Tinytest.addAsync(`${where}: what a job reports last is stored with its outcome`, async test => {
    const master = await sharedMaster()
    const data = { values: ['first', 'last'], lines: ['one', 'two'] }
    const kept = await master.addTask({ taskType: 'report', data, keepDone: 3_600_000, inMemory })
    const followed = await master.addTask({ taskType: 'report', data, audience: 'ada', inMemory })
    const failed = await master.addTask({ taskType: 'report', data: { ...data, fails: true }, inMemory })
    const retried = await master.addTask({
      taskType: 'report',
      data: { ...data, fails: true },
      retries: 1,
      backoff: 1,
      inMemory,
    })
    for (const [_id, lines] of [
      [kept, ['one', 'two']],
      [followed, ['one', 'two']],
      [failed, ['one', 'two']],
      [retried, ['one', 'two', 'one', 'two']],
    ] as const) {
      await master.ending(_id)
      const task = await master.find(_id, inMemory)
      test.equal([task?.progress, task?.log?.map(({ text }) => text)], ['last', lines])
      test.isTrue(task?.log?.every(({ at }) => Math.abs(Number(at) - Date.now()) < 60_000))
    }
    test.isTrue(await master.call('retry', failed))
    await eventually('it failed again', () => master.endings.filter(({ task }) => task._id === failed).length === 2)
    test.equal((await master.find(failed, inMemory))?.log?.length, 4, 'its log goes on')
  })

  Tinytest.addAsync(`${where}: the log is stored while the job runs`, async test => {
    const master = await sharedMaster()
    const _id = await master.addTask({ taskType: 'logTwice', data: {}, inMemory })
    const texts = async () => (await master.find(_id, inMemory))?.log?.map(({ text }) => text).join()
    await eventually('both lines are stored', async () => (await texts()) === 'first,second')
    await master.held(_id)
    await master.call('release', _id)
    test.equal((await master.ending(_id)).event, 'done')
  })

  Tinytest.addAsync(`${where}: the log keeps the last 200 lines, and 64 KB at most`, async test => {
    const master = await sharedMaster()
    const many = Array.from({ length: 300 }, (_, index) => String(index))
    const _id = await master.addTask({ taskType: 'report', data: { lines: many, fails: true }, inMemory })
    await master.ending(_id)
    const log = (await master.find(_id, inMemory))?.log ?? []
    test.equal([log.length, log[0]?.text, log.at(-1)?.text], [200, '100', '299'])
    const long = Array.from({ length: 40 }, (_, index) => String(index).padEnd(5000, 'x'))
    const large = await master.addTask({ taskType: 'report', data: { lines: long, fails: true }, inMemory })
    await master.ending(large)
    const lines = (await master.find(large, inMemory))?.log ?? []
    test.equal([lines.length, lines.at(-1)?.text.slice(0, 3)], [15, '39x'])
    test.isTrue(lines.every(({ text }) => text.length < 4200))
    const euros = Array.from({ length: 40 }, () => '€'.repeat(4000))
    const wide = await master.addTask({ taskType: 'report', data: { lines: euros, fails: true }, inMemory })
    await master.ending(wide)
    test.equal((await master.find(wide, inMemory))?.log?.length, 5, 'each of 12,000 bytes')
  })
}

for (const [what, message] of [
  ['function', /context\.progress\.nested is a function; allowed: null, booleans/],
  ['large', /context\.progress is "x+.*; allowed: at most 16 KB\. Store it elsewhere, and give its key\./],
  ['nothing', /context\.progress is undefined; allowed: what data may hold\. Use null\./],
  ['no text', /context\.log is 7 \(number\); allowed: a string\. Use String/],
] as const) {
  Tinytest.addAsync(`reports - a wrong report (${what}) is a clear error in the task`, async test => {
    const master = await sharedMaster()
    test.matches(String(await master.resultOf({ taskType: 'reportWrongly', data: { what } })), message)
  })
}

Tinytest.add('reports - the 16 KB of a progress are bytes', test => {
  const refused = (value: string) => {
    test.throws(() => encodeProgress(value), /at most 16 KB/)
  }
  encodeProgress('€'.repeat(5400))
  refused('€'.repeat(5500))
  refused('x'.repeat(16_500))
})

Tinytest.addAsync('reports - what a listener changes is neither stored nor given to others', async test => {
  const seen: unknown[] = []
  const listeners = new Listeners()
  listeners.add('progress', ({ value }) => (value as { list: number[] }).list.push(2))
  listeners.add('progress', ({ task, value }) => seen.push(value, task.progress))
  const { queue, claim } = claimedInMemory({ _id: 'reporting' })
  const store = { report: () => Promise.resolve() }
  const events = new Events(listeners, waiters, createLog('error'))
  const reports = new Reports({ events, memory: queue, store })
  reports.jobReported(new HeldClaim(claim, undefined), { progress: encodeProgress({ list: [1] }) })
  await Promise.resolve()
  test.equal([...seen, queue.findById('reporting')?.progress], Array(3).fill({ list: [1] }))
})

Tinytest.addAsync('reports - a report after the end of its job is dropped, with a warning', async test => {
  const master = await sharedMaster()
  const _id = await master.addTask({ taskType: 'reportAfterwards', data: {} })
  await master.written(new RegExp(`reportAfterwards:${_id} reported after its job had ended`))
  test.equal(progressOf(master, _id), [])
})

Tinytest.addAsync('reports - what a job without a valid claim reports changes nothing (invariant 2)', async test => {
  await withDatabase(async database => {
    const options = { keepAlive: 'always', refreshRate: 50, leaseDuration: 3000 } as const
    await withMaster({ database, options }, async former => {
      const _id = await former.addTask({ taskType: 'reportWhenLost', data: {} })
      await former.held(_id)
      await eventually('it is stored', async () => (await former.find(_id, false))?.progress === 'attempt 1')
      process.kill(former.pid, 'SIGSTOP')
      await withMaster({ database, options }, async other => {
        await other.held(_id)
        await eventually('it runs again', async () => (await other.find(_id, false))?.progress === 'attempt 2')
        process.kill(former.pid, 'SIGCONT')
        await former.call('release', _id)
        await former.written(/lease lost/)
        const task = await other.find(_id, false)
        test.equal([task?.progress, task?.log], ['attempt 2', undefined])
        test.equal(progressOf(former, _id), ['attempt 1'])
        await other.call('release', _id)
        await other.held(_id, 2)
        await eventually('it reports', async () => (await other.find(_id, false))?.progress === 'attempt 2 again')
      })
    })
  })
})

/** Two writes of reports a second, at most, however many jobs report. */
function expectFewWrites(test: TestCaseResults, tap: WireTap, startedAt: number): void {
  const seconds = (performance.now() - startedAt) / 1000
  const isReport = (command: Command) =>
    isOnQueue(command) && command.name === 'update' && JSON.stringify(command).includes('progress')
  const writes = tap.commands.filter(isReport).length
  test.isTrue(writes >= 1 && writes <= 2 * seconds + 2, `${String(writes)} writes in ${String(seconds)} s`)
}

Tinytest.addAsync('reports - the reports of all jobs go into few writes', async test => {
  await behindTap({ maxAvailableWorkers: 1, workerConcurrency: 50 }, async (master, tap) => {
    const tasks = Array.from({ length: 50 }, (_, index) => ({
      taskType: 'report',
      data: { values: [index], holds: true },
    }))
    const startedAt = performance.now()
    const ids = await master.call('addTasks', tasks)
    for (const _id of ids) await master.held(_id)
    const isStored = async () => (await master.database.tasks.countDocuments({ progress: { $exists: true } })) === 50
    await eventually('all are stored', isStored)
    expectFewWrites(test, tap, startedAt)
    for (const _id of ids) await master.call('release', _id)
  })
})

Tinytest.addAsync('reports - 200 jobs that report ten times a second cost two writes a second', async test => {
  await behindTap({ maxAvailableWorkers: 1, workerConcurrency: 200 }, async (master, tap) => {
    const tasks = Array.from({ length: 200 }, () => ({ taskType: 'reportOften', data: { seconds: 4 } }))
    const startedAt = performance.now()
    const ids = await master.call('addTasks', tasks)
    for (const _id of ids) await master.ending(_id)
    expectFewWrites(test, tap, startedAt)
  })
})

Tinytest.addAsync('reports - what cannot be stored during an outage is stored after it', async test => {
  await behindGate({ refreshRate: 100 }, async (master, gate) => {
    const _id = await master.addTask({ taskType: 'reportWhenLost', data: {} })
    await master.held(_id)
    gate.shut()
    await master.call('release', _id)
    await master.held(_id, 2)
    gate.reopen()
    const isStored = async () => (await master.find(_id, false))?.progress === 'attempt 1 again'
    await eventually('it is stored', isStored)
    await master.call('release', _id)
    test.equal((await master.ending(_id)).event, 'done')
  })
})

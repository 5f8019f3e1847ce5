import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Tinytest } from 'meteor/tinytest'
import { SKEW_VARIABLE } from './chaos/skew'
import type { TestDatabase } from './support/database'
import { withDatabase, withMaster } from './support/remote-master'
import { ticks } from './support/ticks'
import { eventually } from './support/wait'

/** No busy machine lets it expire. */
const LEASE_MS = 3000
const options = { leaseDuration: LEASE_MS, maxAvailableWorkers: 1 }

interface StoredClaim {
  readonly token: string
  readonly owner: object
  readonly expiresAt: Date
}

async function claimOf(database: TestDatabase, _id: string): Promise<StoredClaim> {
  let claim: StoredClaim | undefined
  // One that was stored as a claim has no `expiresAt` until it is renewed.
  await eventually('the task is claimed, until a moment that is stored', async () => {
    claim = (await database.tasks.findOne({ _id }))?.claim as StoredClaim | undefined
    return claim?.expiresAt !== undefined
  })
  if (claim === undefined) throw new Error('there is no claim')
  return claim
}

/** Until the lease was renewed beyond the time for which the claim itself was valid, twice over. */
async function outlived(database: TestDatabase, _id: string): Promise<void> {
  const first = Number((await claimOf(database, _id)).expiresAt)
  await eventually('the lease was renewed', async () => {
    return Number((await claimOf(database, _id)).expiresAt) > first + 2 * LEASE_MS
  })
}

Tinytest.addAsync(
  'leases - a job that blocks its worker for longer than a lease keeps it (invariant 5)',
  async test => {
    const folder = await mkdtemp(path.join(tmpdir(), 'cluster-test-'))
    const file = path.join(folder, 'end')
    try {
      await withDatabase(async database => {
        // The first does not tick: it is the second that looks for leases that ran out.
        await withMaster({ database, options: { ...options, refreshRate: 3_600_000 } }, async first => {
          const _id = await first.addTask({ taskType: 'blockUntil', data: { file } })
          await first.startedUntil(_id)
          await withMaster({ database, options }, async second => {
            await outlived(database, _id)
            await ticks(database)
            await writeFile(file, '')
            test.equal((await first.ending(_id)).event, 'done')
            test.notMatches(second.output, /blockUntil|requeued/)
          })
        })
      })
    } finally {
      await rm(folder, { recursive: true })
    }
  },
)

Tinytest.addAsync(
  'leases - a master that is stopped beyond its lease loses its task, and cannot end it (invariant 2)',
  async test => {
    await withDatabase(async database => {
      await withMaster({ database, options }, async stopped => {
        const _id = await stopped.addTask({ taskType: 'hold', data: {} })
        await stopped.held(_id)
        await withMaster({ database, options }, async other => {
          process.kill(stopped.pid, 'SIGSTOP')
          await other.written(/requeued 1 task of a master that did not renew its leases/)
          await other.held(_id)
          process.kill(stopped.pid, 'SIGCONT')
          await stopped.written(new RegExp(`hold:${_id}\tlease lost`))
          await stopped.notice('stalled', ({ task }) => task._id === _id)
          await stopped.call('release', _id, 'of the one that was stopped')
          await other.call('release', _id, 'of the holder')
          test.equal((await other.ending(_id)).value, 'of the holder')
          test.equal(stopped.endings, [])
        })
      })
    })
  },
)

Tinytest.addAsync(
  'leases - the tasks of a master that crashed are taken over within its lease and one tick (invariant 4)',
  async test => {
    await withDatabase(async database => {
      await withMaster({ database, options }, async crashing => {
        const _id = await crashing.addTask({ taskType: 'hold', data: {} })
        await crashing.held(_id)
        await withMaster({ database, options: { ...options, keepAlive: 'always' } }, async other => {
          await other.workersAre(1)
          // As if it were on another machine: nobody can tell that its process is gone.
          await database.tasks.updateOne({ _id }, { $set: { 'claim.owner.host': 'another' } })
          await crashing.kill('SIGKILL')
          await other.held(_id)
          await other.call('release', _id)
          test.equal((await other.ending(_id)).event, 'done')
        })
      })
    })
  },
)

Tinytest.addAsync(
  'leases - a job that comes too late to its worker is not started, but released (invariant 2)',
  async test => {
    await withMaster({ options: { ...options, keepAlive: 'always' } }, async master => {
      const worker = (await master.resultOf({ taskType: 'block', data: { milliseconds: 0 } })) as number
      process.kill(worker, 'SIGSTOP')
      const _id = await master.addTask({ taskType: 'echo', data: {} })
      await outlived(master.database, _id)
      process.kill(worker, 'SIGCONT')
      await master.written(new RegExp(`echo:${_id}\trequeued: it reached its worker too late to be started`))
      test.equal((await master.ending(_id)).event, 'done')
      await master.caughtUp()
      test.equal(master.output.match(new RegExp(`echo:${_id}\tstarted`, 'g'))?.length, 1)
    })
  },
)

Tinytest.addAsync(
  'leases - a claim under its own name that the master does not know expires like any other (invariant 5)',
  async test => {
    await withMaster({ options: { ...options, maxAvailableWorkers: 2 } }, async master => {
      const held = await master.addTask({ taskType: 'hold', data: {} })
      await master.held(held)
      const { owner } = await claimOf(master.database, held)
      const claim = { token: 'acknowledgement lost', owner, expiresAt: new Date(Date.now() + 3_600_000) }
      const lost = { taskType: 'echo', data: {}, priority: 1, dueDate: new Date(), createdAt: new Date(), sequence: 0 }
      const { tasks } = master.database
      await tasks.insertOne({ _id: 'lost', ...lost, state: 'running', claim })
      await outlived(master.database, held)
      test.equal((await claimOf(master.database, 'lost')).expiresAt, claim.expiresAt, 'nobody renews it')
      await tasks.updateOne({ _id: 'lost' }, { $set: { 'claim.expiresAt': new Date(0) } })
      test.equal((await master.ending('lost')).event, 'done')
      test.equal(master.notices('held').length, 1)
      await master.call('release', held)
    })
  },
)

Tinytest.addAsync(
  'leases - a worker that blocks its event loop ends with its master all the same (invariant 8)',
  async test => {
    await withMaster({ options }, async master => {
      const _id = await master.addTask({ taskType: 'block', data: { milliseconds: 3_600_000 } })
      await master.written(new RegExp(`block:${_id}\tstarted`))
      const killedAt = performance.now()
      await master.kill('SIGKILL')
      test.isTrue(performance.now() - killedAt < 5000)
    })
  },
)

for (const skew of [20_000, -20_000]) {
  const off = `${String(skew / 1000)} s off`

  Tinytest.addAsync(`leases - a master whose clock is ${off} steals and hurries nothing (invariant 5)`, async test => {
    await withDatabase(async database => {
      // The first does not tick: it is the second that looks for leases that ran out.
      await withMaster({ database, options: { ...options, refreshRate: 3_600_000 } }, async first => {
        const held = await first.addTask({ taskType: 'hold', data: {} })
        await first.held(held)
        await withMaster({ database, options, env: { [SKEW_VARIABLE]: String(skew) } }, async second => {
          const dueDate = new Date(Date.now() + 10_000)
          const early = await first.addTask({ taskType: 'echo', data: {}, dueDate })
          await outlived(database, held)
          await ticks(database)
          test.equal((await database.tasks.findOne({ _id: early }))?.state, 'scheduled')
          test.notMatches(second.output, /requeued/)
          await database.tasks.updateOne({ _id: early }, { $set: { dueDate: new Date() } })
          test.equal((await second.ending(early)).event, 'done')
          await first.call('release', held)
          test.equal((await first.ending(held)).event, 'done')
        })
      })
    })
  })
}

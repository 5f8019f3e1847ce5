import { Tinytest } from 'meteor/tinytest'
import { createLog } from '../common/log'
import { createTask } from '../common/task'
import { errorToWire, toWire } from '../common/pipe/wire'
import { Admission } from '../server/master/claims/admission'
import { Claims } from '../server/master/claims/claims'
import { Events } from '../server/master/claims/events'
import { Outbox } from '../server/master/claims/outbox'
import { Outcomes } from '../server/master/claims/outcomes'
import { Settler } from '../server/master/claims/settler'
import { Outage } from '../server/master/outage'
import type { ClaimStore } from '../server/queue/claim'
import { Listeners } from '../server/queue/listeners'
import { MemoryQueue } from '../server/queue/memory/memory-queue'
import { MongoClaims } from '../server/queue/mongo/claims/claim'
import { currentOwner } from '../server/queue/mongo/documents/owner'
import type { RawCollection } from '../server/queue/mongo/documents/schema'
import { MongoSettler } from '../server/queue/mongo/claims/settle'
import { behindGate, withDatabase } from './support/remote-master'
import { RETENTION, SILENT, UNLIMITED, waiters } from './support/settle'
import { eventually } from './support/wait'

Tinytest.addAsync(
  'outage - the database away stops claims, not jobs; outcomes are written when it is back (invariant 10)',
  async test => {
    await behindGate({ maxAvailableWorkers: 2 }, async (master, gate) => {
      const { database } = master
      const running = await master.addTask({ taskType: 'hold', data: {} })
      const failing = await master.addTask({ taskType: 'holdThenFail', data: {} })
      await master.held(running)
      await master.held(failing)
      gate.shut()
      await master.call('release', running, 'while it was away')
      await master.call('release', failing)
      await master.written(new RegExp(`hold:${running}\tcannot be stored, trying again`))
      await master.written(new RegExp(`holdThenFail:${failing}\tcannot be stored, trying again`))
      await master.written(/ERROR\tcannot read the queue/)
      test.equal(await master.resultOf({ taskType: 'echo', data: { a: 1 }, inMemory: true }), { a: 1 })
      test.isFalse(master.endings.some(({ task }) => task._id === running))

      gate.reopen()
      test.equal((await master.ending(running)).value, 'while it was away')
      test.equal((await master.ending(failing)).event, 'error')
      await master.written(/WARNING\tthe queue can be read again/)
      test.equal(await master.resultOf({ taskType: 'echo', data: { b: 2 } }), { b: 2 })
      test.equal((await database.tasks.findOne({ _id: failing }))?.state, 'failed')
      test.equal(await database.tasks.countDocuments(), 1)
    })
  },
)

Tinytest.addAsync('outage - that leases cannot be renewed is said once, and that they can be again', async test => {
  await behindGate({ leaseDuration: 300 }, async (master, gate) => {
    const running = await master.addTask({ taskType: 'hold', data: {} })
    await master.held(running)
    gate.shut()
    await master.written(/ERROR\tcannot renew the leases, trying again/)
    gate.reopen()
    await master.written(/WARNING\tthe leases are renewed again/)
    await master.call('release', running, 'held')
    test.equal((await master.ending(running)).value, 'held')
    test.equal(master.output.match(/cannot renew the leases/g)?.length, 1)
  })
})

Tinytest.addAsync('outage - a database that hangs for longer than a lease costs no job (invariant 10)', async test => {
  await behindGate({ leaseDuration: 300 }, async (master, gate) => {
    const { database } = master
    const running = await master.addTask({ taskType: 'hold', data: {} })
    await master.held(running)
    gate.holdUp()
    await eventually('the lease has run out', async () => {
      const claim = (await database.tasks.findOne({ _id: running }))?.claim as { expiresAt: Date }
      return Number(claim.expiresAt) < Date.now()
    })
    await master.call('release', running, 'while it hung')
    test.equal(await master.resultOf({ taskType: 'echo', data: { a: 1 }, inMemory: true }), { a: 1 })
    gate.reopen()
    test.equal((await master.ending(running)).value, 'while it hung')
    test.equal(await master.resultOf({ taskType: 'echo', data: { b: 2 } }), { b: 2 })
  })
})

/** Makes the write, and then loses its acknowledgement, the first time. */
function losingFirstAcknowledgement(store: ClaimStore): ClaimStore {
  let isLost = false
  return {
    settleAll: async requests => {
      const verdicts = await store.settleAll(requests)
      if (isLost) return verdicts
      isLost = true
      throw new Error('acknowledgement lost')
    },
    settleOne: (request, firstSentAt) => store.settleOne(request, firstSentAt),
  }
}

const OUTCOMES = {
  done: { kind: 'done', value: toWire(1) },
  error: { kind: 'failed', error: errorToWire(new Error('broken')) },
} as const

for (const kind of ['done', 'error'] as const) {
  Tinytest.addAsync(
    `outage - a write whose acknowledgement was lost is found out: '${kind}' is told once (invariant 10)`,
    async test => {
      await withDatabase(async database => {
        const task = createTask({ taskType: 'TEST', data: {} })
        await database.tasks.insertOne({ ...task })
        const tasks = database.tasks as unknown as RawCollection
        const log = createLog('error')
        const options = {
          taskTypes: ['TEST'],
          leaseDuration: 15_000,
          listener: SILENT,
          rooms: UNLIMITED,
        }
        const queue = new MongoClaims(tasks, currentOwner(), options)
        const claims = new Claims({
          admission: new Admission(new Map()),
          queue,
          leaseDuration: 15_000,
          outage: new Outage(log, 'renewals'),
        })
        const told: unknown[] = []
        const listeners = new Listeners()
        listeners.add(kind, ({ task: { _id } }) => told.push(_id))
        const events = new Events(listeners, waiters, log)
        const settler = new Settler({
          claims,
          events,
          log,
          memory: new MemoryQueue('any', RETENTION),
          outbox: new Outbox(losingFirstAcknowledgement(new MongoSettler(tasks, RETENTION)), claims, log),
        })
        const outcomes = new Outcomes({ definitions: new Map(), events, log, maxCrashes: 3, settler })
        const fetched = await claims.fetch(1)
        const [held] = fetched.claims
        if (held === undefined) throw new Error('nothing to claim')
        held.moveTo('sent')
        outcomes.jobEnded(held, { outcome: OUTCOMES[kind], milliseconds: 1, abortReason: undefined })
        await settler.idle()
        test.equal([told, held.isOver, claims.get(held.claim.token)], [[task._id], true, undefined])
      })
    },
  )
}

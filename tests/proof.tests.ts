/**
 * Faults of the engine that no other suite would notice, driven from outside: the tap between a master and its database
 * decides what arrives when.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { MongoInternals } from 'meteor/mongo'
import type { NewTask } from 'meteor/nschwarz:cluster'
import { Tinytest } from 'meteor/tinytest'
import { Prefetch } from '../server/pool/prefetch'
import type { Claim } from '../server/queue/claim'
import { behindTap, isClaim, isOnQueue, isRenewal, isSettlement, isWrite, tapped, withTap } from './support/behind-tap'
import type { TestDatabase } from './support/database'
import { isAlive } from './support/processes'
import { RemoteMaster, withMaster } from './support/remote-master'
import { ticks } from './support/ticks'
import { comesTrue, eventually } from './support/wait'
import type { WireTap } from './support/wire-tap'

const NO_TICKS = 3_600_000
/** Longer than any test. */
const LONG_LEASE = 300_000

type Path = 'added' | 'polled'
const PATHS: Record<Path, string> = { added: 'added by an idle master', polled: 'found by a poll' }

/**
 * Adds a task so that its claim takes this path. @returns once it is added, which may be after its claim is
 * acknowledged
 */
async function addOn(way: Path, master: RemoteMaster, _id: string, taskType: string): Promise<void> {
  if (way === 'added') await master.addTask({ taskType, data: {}, _id })
  else await insert(master.database, { _id, taskType })
}

/** Adds a task as another process would. */
async function insert(
  database: TestDatabase,
  task: { readonly _id: string; readonly [field: string]: unknown },
): Promise<void> {
  const now = new Date()
  const defaults = {
    state: 'waiting',
    taskType: 'echo',
    data: {},
    priority: 1,
    dueDate: now,
    createdAt: now,
    sequence: 0,
  }
  await database.tasks.insertOne({ ...defaults, ...task })
}

async function expiryOf({ tasks }: TestDatabase, _id: string): Promise<number> {
  const claim = (await tasks.findOne({ _id }))?.claim as { readonly expiresAt?: Date } | undefined
  return Number(claim?.expiresAt ?? 0)
}

/** Until the lease of this task was renewed so often. */
async function renewed(database: TestDatabase, _id: string, times: number): Promise<void> {
  for (let left = times; left > 0; left--) {
    const before = await expiryOf(database, _id)
    await eventually('the lease was renewed', async () => (await expiryOf(database, _id)) > before)
  }
}

/** Until the master sends nothing about the queue for a while: it has polled, and waits for a signal. */
async function quiet(tap: WireTap): Promise<void> {
  let count = -1
  const onQueue = () => tap.commands.filter(command => isOnQueue(command) && command.name !== 'getMore').length
  while (count !== onQueue()) {
    count = onQueue()
    await pause(500)
  }
}

/**
 * Whether a `hold` task that must not start, does so: judged once the only worker of the master has come to later jobs.
 *
 * @param before how often it was started before
 */
async function startsMeanwhile(master: RemoteMaster, _id: string, before = 0): Promise<boolean> {
  const hasStarted = () => master.notices('held').filter(({ taskId }) => taskId === _id).length > before
  for (const round of ['first', 'second']) {
    const later = await master.addTask({ taskType: 'echo', data: { round }, inMemory: true })
    const hasEnded = () => master.endings.some(({ task }) => task._id === later)
    await master.until('a later job', () => hasStarted() || hasEnded())
  }
  return hasStarted()
}

/** Until all of these are done: one look at the events for all. */
async function allDone(master: RemoteMaster, ids: readonly string[]): Promise<void> {
  await master.until('the ends of many tasks', () => {
    const done = new Set(master.notices('done').map(({ task }) => task._id))
    return ids.every(_id => done.has(_id))
  })
}

/**
 * Whether other jobs are sent ahead behind one of type `blockUntil`, by the durations in the log. It comes another way
 * than events, so this waits for the lines of `ids`.
 */
async function arePrefetched(master: RemoteMaster, ids: readonly string[]): Promise<boolean> {
  const lines = () => [...master.output.matchAll(/:blockUntil:(\S+)\tdone in (\d+) ms/g)]
  await master.until('the ends of many tasks in the log', () => {
    const done = new Set(lines().map(([, _id = '']) => _id))
    return ids.every(_id => done.has(_id))
  })
  const prefetch = new Prefetch()
  // The log has rounded them.
  for (const [, , duration] of lines()) prefetch.record('blockUntil', Number(duration) + 0.5)
  const claim = { task: { taskType: 'blockUntil' } } as Claim
  return prefetch.aheadIfLow({ load: 1, jobs: [{ claim, runningFor: 0 }] }, 1) !== undefined
}

/** How often a job of this task has started so far. */
function startsOf(master: RemoteMaster, _id: string): number {
  return master.starts.filter(id => id === _id).length
}

/** As `startsOf`, once all starts until now are in the log. */
async function startsInLog(master: RemoteMaster, _id: string): Promise<number> {
  await master.caughtUp()
  return startsOf(master, _id)
}

/** The paths of a file that is not there yet, and of one that is. */
async function withFiles(test: (missing: string, present: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'cluster-test-'))
  try {
    const present = path.join(folder, 'present')
    await writeFile(present, '')
    await test(path.join(folder, 'missing'), present)
  } finally {
    await rm(folder, { recursive: true })
  }
}

for (const way of ['added', 'polled'] as const) {
  Tinytest.addAsync(
    `proof - a task ${PATHS[way]} does not start when its claim is acknowledged after the lease (invariant 2)`,
    async test => {
      await behindTap({ leaseDuration: 1500 }, async (late, tap) => {
        const { database } = late
        await late.resultOf({ taskType: 'echo', data: {} })
        const answers = tap.holdAnswers(isClaim)
        const adding = addOn(way, late, 'slow', 'hold')
        await eventually('the claim is made', () => answers.count > 0)
        await withMaster({ database, options: { leaseDuration: LONG_LEASE } }, async holder => {
          await holder.held('slow')
          answers.release()
          test.isFalse(await startsMeanwhile(late, 'slow'))
          await adding
          await holder.call('release', 'slow', 'of the holder')
          test.equal((await holder.ending('slow')).value, 'of the holder')
          test.isFalse(late.endings.some(({ task }) => task._id === 'slow'))
        })
      })
    },
  )

  Tinytest.addAsync(
    `proof - a task ${PATHS[way]} runs once when its claim is acknowledged after a renewal (invariant 2)`,
    async test => {
      await behindTap({ leaseDuration: 9000, workerConcurrency: 3 }, async (master, tap) => {
        const { database } = master
        const other = await master.addTask({ taskType: 'hold', data: {} })
        await master.held(other)
        const answers = tap.holdAnswers(isClaim)
        const adding = addOn(way, master, 'slow', 'hold')
        await eventually('the claim is made', () => answers.count > 0)
        // What the first renewal brings about has ended when the second begins.
        await renewed(database, other, 2)
        answers.release()
        await adding
        await master.held('slow')
        await ticks(database)
        await renewed(database, other, 1)
        await master.call('release', 'slow')
        test.equal((await master.ending('slow')).task.attempts, 1)
        test.isFalse(await comesTrue(() => startsOf(master, 'slow') > 1, 300))
        test.equal(await database.tasks.countDocuments({ _id: 'slow' }), 0)
        await master.call('release', other)
      })
    },
  )
}

Tinytest.addAsync(
  'proof - a renewal that is acknowledged after the lease starts no job that still waits (invariant 2)',
  async test => {
    await behindTap({ leaseDuration: 5000, workerConcurrency: 2, refreshRate: NO_TICKS }, async (late, tap) => {
      const { database } = late
      const ids = await late.call('addTasks', [
        { taskType: 'hold', data: {} },
        { taskType: 'hold', data: {} },
      ])
      const [worker] = await Promise.all(ids.map(_id => late.held(_id)))
      // Both are suspects now: one runs alone, and the other waits for that.
      process.kill(worker ?? 0, 'SIGKILL')
      await late.until('one runs again', () => late.notices('held').length === 3)
      const running = late.notices('held').at(-1)?.taskId ?? ''
      const behind = ids.find(_id => _id !== running) ?? ''
      await eventually(
        'both are claimed',
        async () => (await database.tasks.countDocuments({ state: 'running' })) === 2,
      )
      // The answer to the renewal that is on its way, or else to the next, comes when the other master has both.
      const answers = tap.holdAnswers(() => true)
      const options = { leaseDuration: LONG_LEASE, maxAvailableWorkers: 2 }
      await withMaster({ database, options }, async holder => {
        await holder.held(behind)
        answers.passThese()
        await late.call('release', running)
        test.isFalse(await startsMeanwhile(late, behind, 1))
        await holder.call('release', behind, 'of the holder')
        test.equal((await holder.ending(behind)).value, 'of the holder')
        answers.release()
      })
    })
  },
)

/**
 * How often a worker is blocked, at most, until jobs were behind the one that blocks it: that depends on how fast jobs
 * are.
 */
const MOST_BLOCKS = 5

Tinytest.addAsync(
  'proof - a job that was taken back from a blocked worker is not started there later (invariant 2)',
  async test => {
    const options = { leaseDuration: LONG_LEASE, maxAvailableWorkers: 2, keepAlive: 'always' } as const
    await withMaster({ options }, async master => {
      await master.resultOf({ taskType: 'echo', data: {} })
      let [wereBehind, ids]: [boolean, string[]] = [false, []]
      for (let block = 0; block < MOST_BLOCKS && !wereBehind; block++) {
        ;({ wereBehind, ids } = await blockOneWorker(master))
        test.equal(
          ids.map(_id => startsOf(master, _id)),
          ids.map(() => 1),
        )
      }
    })
  },
)

/** Adds short jobs while a job of the same type blocks one of two workers, and lets that end when all others have. */
async function blockOneWorker(master: RemoteMaster): Promise<{ wereBehind: boolean; ids: string[] }> {
  let result = { wereBehind: false, ids: [''] }
  await withFiles(async (missing, present) => {
    const short = { taskType: 'blockUntil', data: { file: present } }
    const known = await master.call(
      'addTasks',
      Array.from({ length: 50 }, () => short),
    )
    await allDone(master, known)
    const blocking = { ...short, data: { file: missing }, priority: 9 }
    // Longer than was to be expected: what is behind the blocking job counts as misplaced.
    const last = { taskType: 'block', data: { milliseconds: 40 }, priority: -9 }
    const ids = await master.call('addTasks', [blocking, ...Array.from({ length: 38 }, () => short), last, last])
    const [blocked = '', ...others] = ids
    await master.resultOf({ taskType: 'echo', data: {}, inMemory: true })
    await master.resultOf({ taskType: 'echo', data: {}, inMemory: true })
    // The other worker has come to an end.
    const behind = await master.database.tasks.countDocuments({ _id: { $in: others } })
    await allDone(master, others)
    await writeFile(missing, '')
    await master.ending(blocked)
    await bothWorkersHold(master)
    result = { wereBehind: behind > 0, ids }
  })
  return result
}

/** Until both workers of the master have come to a later job. */
async function bothWorkersHold(master: RemoteMaster): Promise<void> {
  const ids = await master.call('addTasks', [
    { taskType: 'hold', data: {} },
    { taskType: 'hold', data: {} },
  ])
  await Promise.all(ids.map(_id => master.held(_id)))
  await master.caughtUp()
  for (const _id of ids) await master.call('release', _id)
}

Tinytest.addAsync(
  'proof - a former worker is ended before any master can run what it had (invariants 2 and 8)',
  async test => {
    await withTap(async (database, tap) => {
      // On the same way to the database, which is part of the proof that the worker is one of this app.
      const former = await RemoteMaster.start(tapped(database, tap, { leaseDuration: LONG_LEASE }))
      try {
        await former.addTask({ taskType: 'hold', data: {}, _id: 'left' })
        const worker = await former.held('left')
        // It can neither notice the end of its master, nor be told.
        process.kill(worker, 'SIGSTOP')
        await withMaster({ database, options: { keepAlive: 'always' } }, async other => {
          await other.resultOf({ taskType: 'echo', data: {} })
          former.killAlone()
          await eventually('the master is gone', () => !isAlive(former.pid))
          // The restarted master makes no second step before the other one runs the task.
          const answers = tap.holdAnswers((command, { n }) => isWrite(command) && Number(n) > 0)
          await withMaster(tapped(database, tap, {}), async () => {
            await other.held('left')
            test.isFalse(isAlive(worker))
            test.isTrue(answers.count > 0)
            answers.release()
            await other.call('release', 'left')
            test.equal((await other.ending('left')).event, 'done')
          })
        })
      } finally {
        await former.stop()
      }
    })
  },
)

Tinytest.addAsync(
  'proof - a job whose lease has run out gets no answer of the messageBroker before it is renewed (invariant 2)',
  async test => {
    await behindTap({ leaseDuration: 1000, maxAvailableWorkers: 2 }, async (master, tap) => {
      const { database } = master
      await master.resultOf({ taskType: 'echo', data: {} })
      const _id = await master.addTask({ taskType: 'holdAddHold', data: { taskType: 'echo', data: {} } })
      await master.held(_id)
      await renewed(database, _id, 1)
      const renewals = tap.holdCommands(isRenewal)
      await eventually('the lease has run out', async () => (await expiryOf(database, _id)) < Date.now())
      await master.call('release', _id)
      await eventually('a renewal is on its way', () => renewals.count > 0)
      // The job asks as soon as it has added its task.
      await master.until('the task that the job adds', () => master.endings.length === 2)
      const heldTimes = () => master.notices('held').filter(({ taskId }) => taskId === _id).length
      test.isFalse(await comesTrue(() => heldTimes() > 1, 1000))
      test.isFalse(master.endings.some(({ task }) => task._id === _id))
      renewals.release()
      await master.held(_id, 2)
      await master.call('release', _id)
      test.equal((await master.ending(_id)).event, 'done')
    })
  },
)

const SETTLED = { hold: 'done', holdThenFail: 'error' } as const

for (const taskType of ['hold', 'holdThenFail'] as const) {
  for (const count of [1, 3]) {
    Tinytest.addAsync(
      `proof - ${String(count)} × ${taskType}: a renewal while the outcome is written loses no claim (invariant 3)`,
      async test => {
        await behindTap({ leaseDuration: 3000, workerConcurrency: count + 1 }, async (master, tap) => {
          const { database } = master
          const other = await master.addTask({ taskType: 'hold', data: {} })
          await master.held(other)
          const tasks = Array.from({ length: count }, () => ({ taskType, data: {} }))
          const ids = await master.call('addTasks', tasks)
          await Promise.all(ids.map(_id => master.held(_id)))
          const answers = tap.holdAnswers(isSettlement)
          for (const _id of ids) await master.call('release', _id)
          await eventually('an end is written', () => answers.count > 0)
          await renewed(database, other, 3)
          answers.release()
          const endings = await Promise.all(ids.map(_id => master.ending(_id)))
          test.equal(
            endings.map(({ event }) => event),
            ids.map(() => SETTLED[taskType]),
          )
          test.equal(master.notices('stalled'), [])
          test.notMatches(master.output, /lease lost/)
          await master.call('release', other)
        })
      },
    )
  }
}

Tinytest.addAsync('proof - a poll that failed is made again at the next occasion (invariant 10)', async test => {
  await behindTap({ refreshRate: NO_TICKS }, async (master, tap) => {
    await master.resultOf({ taskType: 'echo', data: {} })
    await master.workersAre(1)
    await quiet(tap)
    const hasFailed = tap.failNext(command => isOnQueue(command) && command.name !== 'getMore', 50)
    await insert(master.database, { _id: 'after the blip' })
    await eventually('the poll has failed', hasFailed)
    // It tells of no persistent task, but a worker is free.
    await master.resultOf({ taskType: 'echo', data: {}, inMemory: true })
    test.equal((await master.ending('after the blip')).event, 'done')
  })
})

const isFeedOpening = ({ name, body }: { name: string; body: Readonly<Record<string, unknown>> }) =>
  name === 'aggregate' && JSON.stringify(body.pipeline).includes('$changeStream')

Tinytest.addAsync('proof - what was added before the change stream opened is found when it opens', async test => {
  await withTap(async (database, tap) => {
    const openings = tap.holdCommands(isFeedOpening)
    await withMaster(tapped(database, tap, { refreshRate: NO_TICKS }), async master => {
      await master.resultOf({ taskType: 'echo', data: {} })
      await master.workersAre(1)
      await quiet(tap)
      await insert(database, { _id: 'before' })
      test.isTrue(openings.count > 0)
      openings.release()
      test.equal((await master.ending('before')).event, 'done')
    })
  })
})

/** MongoDB's code for a change stream that cannot be resumed. */
const HISTORY_LOST = 286

Tinytest.addAsync('proof - what was added while the change stream was broken is found when it reopens', async test => {
  await behindTap({ refreshRate: NO_TICKS }, async (master, tap) => {
    await master.resultOf({ taskType: 'echo', data: {} })
    await master.workersAre(1)
    await quiet(tap)
    const openings = tap.holdCommands(isFeedOpening)
    const hasBroken = tap.failNext(command => isOnQueue(command) && command.name === 'getMore', HISTORY_LOST)
    // The stream asks for the next when it has told of one.
    await insert(master.database, { _id: 'last told' })
    await eventually('the stream has broken', hasBroken)
    await eventually('it is opened again', () => openings.count > 0)
    await master.ending('last told')
    await quiet(tap)
    await insert(master.database, { _id: 'untold' })
    openings.release()
    test.equal((await master.ending('untold')).event, 'done')
  })
})

/** The claim of a master that did not renew it. */
function claimBy(owner: object, expiresAt: Date): object {
  return { token: 'of another', owner, claimedAt: new Date(0), expiresAt }
}

/** Ends of claims: done, failed, retried and released, of one task and of many. */
async function driveEnds(master: RemoteMaster): Promise<void> {
  const echo = { taskType: 'echo', data: {} }
  const fail = { taskType: 'fail', data: { message: 'failed' } }
  const retried = { taskType: 'failUntil', data: { attempt: 2 }, retries: 1, backoff: 1 }
  for (const task of [echo, fail, retried]) {
    await master.run(task)
    const ids = await master.call(
      'addTasks',
      Array.from({ length: 12 }, () => task),
    )
    await Promise.all(ids.map(_id => master.ending(_id)))
  }
  const crashing = await master.addTask({ taskType: 'hold', data: {} })
  process.kill(await master.held(crashing), 'SIGKILL')
  await master.held(crashing, 2)
  await renewed(master.database, crashing, 2)
  const behind = await master.call(
    'addTasks',
    Array.from({ length: 12 }, () => echo),
  )
  const stopping = master.call('stop', { timeout: 60_000 })
  await master.call('release', crashing)
  await stopping
  await master.call('initialize')
  await Promise.all([crashing, ...behind].map(_id => master.ending(_id)))
}

/** What users do: adding, adding in place of a done task, cancelling, and trying again. */
async function driveUsers(master: RemoteMaster): Promise<void> {
  const echo = { taskType: 'echo', data: {} }
  const done = ['done 1', 'done 2', 'done 3']
  for (const _id of done) await insert(master.database, { _id, state: 'done' })
  await master.addTask({ ...echo, _id: 'done 1' })
  await master.call('addTasks', [
    { ...echo, _id: 'done 2' },
    { ...echo, _id: 'done 3' },
  ])
  await Promise.all(done.map(_id => master.ending(_id)))
  await master.run({ ...echo, dueDate: new Date(Date.now() + 300) })
  await master.run({ taskType: 'add', data: { ...echo, _id: 'of a worker' } })
  await master.ending('of a worker')
  const waiting = await master.addTask({ ...echo, dueDate: new Date(Date.now() + NO_TICKS) })
  const running = await master.addTask({ taskType: 'holdUntilAborted', data: {} })
  await master.held(running)
  for (const _id of [waiting, running]) await master.call('cancel', _id)
  await master.written(new RegExp(`${running} was aborted`))
  await master.call('retry', waiting)
  await master.ending(waiting)
}

/** Documents that others left, or wrote by hand. */
async function driveOthers(master: RemoteMaster): Promise<void> {
  const { database } = master
  await database.tasks.insertOne({ _id: 'of 2.x', taskType: 'echo', data: {}, onGoing: false })
  const expired = claimBy({ host: 'another', pid: 1, system: '', startedAt: '' }, new Date(1000))
  await insert(database, { _id: 'expired', state: 'running', attempts: 1, claim: expired })
  await insert(database, { _id: 'moved', dueDate: new Date(Date.now() + 300) })
  for (const _id of ['of 2.x', 'expired', 'moved']) await master.ending(_id)
  await insert(database, { _id: 'malformed', priority: 'high' })
  await insert(database, { _id: 'large', data: { text: 'x'.repeat(16 * 1024 * 1024 - 300) } })
  const { BSON } = MongoInternals.NpmModules.mongodb.module
  // What PCRE knows and JavaScript does not: the driver cannot read it.
  await insert(database, { _id: 'unreadable', data: { pattern: new BSON.BSONRegExp('(?i)x') } })
  for (const _id of ['malformed', 'large', 'unreadable']) {
    await eventually(
      `${_id} has failed`,
      async () => (await database.tasks.countDocuments({ _id, state: 'failed' })) === 1,
    )
  }
}

Tinytest.addAsync('proof - every write of the queue waits for a majority (invariant 1)', async test => {
  await withTap(async (database, tap) => {
    const options = { leaseDuration: 1500, maxAvailableWorkers: 2 }
    await withMaster(tapped(database, tap, options), async master => {
      await driveUsers(master)
      await driveEnds(master)
      await driveOthers(master)
      await master.addTask({ taskType: 'hold', data: {}, _id: 'left' })
      await master.held('left')
      await master.kill('SIGKILL')
    })
    await withMaster(tapped(database, tap, { leaseDuration: LONG_LEASE }), async master => {
      await master.held('left')
    })
    const writes = tap.commands.filter(isWrite)
    const weak = writes.filter(({ body }) => (body.writeConcern as { w?: unknown } | undefined)?.w !== 'majority')
    test.equal(
      weak.map(({ body }) => JSON.stringify(body).slice(0, 300)),
      [],
    )
    test.equal([...new Set(writes.map(({ name }) => name))].sort(), ['delete', 'findAndModify', 'insert', 'update'])
  })
})

for (const inMemory of [false, true]) {
  const queue = inMemory ? 'in-memory' : 'persistent'

  Tinytest.addAsync(`proof - ${queue}: a job that ran counts as an attempt, also when its worker died`, async test => {
    await withMaster({}, async master => {
      const _id = await master.addTask({ taskType: 'holdThenTellAttempt', data: {}, inMemory })
      process.kill(await master.held(_id), 'SIGKILL')
      await master.held(_id, 2)
      test.equal((await master.find(_id, inMemory))?.attempts, 2)
      await master.call('release', _id)
      const { task, value } = await master.ending(_id)
      test.equal([task.attempts, value], [2, 2])
    })
  })

  Tinytest.addAsync(`proof - ${queue}: a job that is returned without a start counts as no attempt`, async test => {
    await withFiles(async (missing, present) => {
      await withMaster(
        { options: { leaseDuration: LONG_LEASE, keepAlive: 'always', maxAvailableWorkers: 1 } },
        async master => {
          const { tasks } = master.database
          await master.resultOf({ taskType: 'echo', data: {} })
          const short = { taskType: 'blockUntil', data: { file: present }, inMemory }
          // Jobs are prefetched while the last ones were short.
          while (!(await arePrefetched(master, await master.call('addTasks', Array<NewTask>(20).fill(short)))));
          const stored = async () => (inMemory ? master.call('tasks') : tasks.find().toArray())
          const blocking = { ...short, data: { file: missing }, priority: 9 }
          const [blocked = '', ...ids] = await master.call('addTasks', [blocking, ...Array<NewTask>(20).fill(short)])
          await master.startedUntil(blocked)
          await eventually('some are sent ahead, or were returned after a second', async () => {
            const isReturned = master.output.includes('requeued: its worker is busy, and did not start it in time')
            return isReturned || (await stored()).filter(({ state }) => state === 'running').length > 1
          })
          const stopping = master.call('stop', { timeout: 120_000 })
          await master.call('setRefreshRate', 50)
          await writeFile(missing, '')
          await stopping
          test.equal((await master.ending(blocked)).value, 1)
          const left = await stored()
          test.isTrue(left.length > 0)
          for (const { state, attempts } of left) test.equal([state, Number(attempts ?? 0)], ['waiting', 0])
          await master.call('initialize')
          for (const _id of ids) {
            const { task, value } = await master.ending(_id)
            test.equal([task.attempts, value, await startsInLog(master, _id)], [1, 1, 1])
          }
        },
      )
    })
  })
}

Tinytest.addAsync('proof - a job that comes too late to its worker counts as no attempt', async test => {
  await withMaster({ options: { leaseDuration: 900, keepAlive: 'always' } }, async master => {
    const worker = (await master.resultOf({ taskType: 'block', data: { milliseconds: 0 } })) as number
    process.kill(worker, 'SIGSTOP')
    const _id = await master.addTask({ taskType: 'context', data: {} })
    await renewed(master.database, _id, 6)
    process.kill(worker, 'SIGCONT')
    const { task, value } = await master.ending(_id)
    const { attempt } = value as { attempt: number }
    test.equal([task.attempts, attempt, await startsInLog(master, _id)], [1, 1, 1])
  })
})

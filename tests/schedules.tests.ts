/** Schedules: tasks that every master adds at the same ticks, once. */
import type { ClusterOptions, Job, ScheduleStatus } from 'meteor/nschwarz:cluster'
import { Tinytest } from 'meteor/tinytest'
import { Schedules, type SchedulesParts } from '../server/queue/schedules/schedules'
import type { StoredTask } from '../server/queue/mongo/documents/schema'
import type { ScheduleSet, StoredSchedule } from '../server/queue/schedules/schedule-set'
import { StoredSets } from '../server/queue/schedules/stored-sets'
import { CommandGate } from './support/command-gate'
import type { TestDatabase } from './support/database'
import { type MasterSettings, RemoteMaster, withDatabase, withMaster } from './support/remote-master'
import type { ScheduleMethod } from './support/remote-protocol'
import { eventually } from './support/wait'

type Given = NonNullable<ClusterOptions['schedules']>

const APP = 'shop'
/** The leases are those that no busy machine lets expire: what runs, runs once. */
const BASE = { app: APP, keepAlive: 'always', leaseDuration: 15_000, withLimits: true } as const
const HOUR = 3_600_000
const DAY = 24 * HOUR

const everySecond = { taskType: 'echo', data: { n: 1 }, cron: '* * * * * *' } as const
/** For tests of which no tick may be missed: of those that a slow machine is late for, only the last is made up for. */
const EVERY_OTHER_SECOND = '*/2 * * * * *'
const never = { taskType: 'echo', cron: '0 0 1 1 *' } as const

function options(schedules: Given, more: MasterSettings['options'] = {}): NonNullable<MasterSettings['options']> {
  return { ...BASE, schedules, ...more }
}

async function withMasters(
  database: TestDatabase,
  settings: readonly NonNullable<MasterSettings['options']>[],
  run: (...masters: [RemoteMaster, ...RemoteMaster[]]) => Promise<void>,
): Promise<void> {
  const masters: RemoteMaster[] = []
  try {
    for (const given of settings) masters.push(await RemoteMaster.start({ database, options: given }))
    await run(...(masters as [RemoteMaster, ...RemoteMaster[]]))
  } finally {
    await Promise.all(masters.map(master => master.stop()))
  }
}

/** How often each task has started, on all of these masters. */
function startsOn(masters: readonly RemoteMaster[]): ReadonlyMap<string, number> {
  const starts = new Map<string, number>()
  for (const id of masters.flatMap(master => master.starts)) starts.set(id, (starts.get(id) ?? 0) + 1)
  return starts
}

function ticksOn(masters: readonly RemoteMaster[], name: string): string[] {
  return [...startsOn(masters).keys()].filter(id => id.startsWith(`${APP}/${name}@`)).sort()
}

/** The tick that the `_id` of its task names, in milliseconds. */
function timeOf(taskId = ''): number {
  return Date.parse(taskId.split('@')[1] ?? '')
}

/**
 * From which ticks on some were skipped, since a worker had not ended the one before: for example, while it booted.
 */
function skippedOn(masters: readonly RemoteMaster[]): number[] {
  return masters.flatMap(({ output }) =>
    [...output.matchAll(/skipping ticks from (\S+Z) on/g)].map(([, tick = '']) => Date.parse(tick)),
  )
}

async function ticked(masters: readonly RemoteMaster[], name: string, count: number): Promise<string[]> {
  await eventually(`${name} has ticked`, () => ticksOn(masters, name).length >= count)
  return ticksOn(masters, name)
}

async function statusOf(master: RemoteMaster, name: string): Promise<ScheduleStatus | undefined> {
  return (await master.call('schedules')).find(schedule => schedule.name === name)
}

async function stored(master: RemoteMaster, _id: string): Promise<Record<string, unknown>> {
  return (await master.database.tasks.findOne({ _id })) ?? {}
}

/** Until the master has the schedules of these names. */
async function declared(master: RemoteMaster, names: string): Promise<ScheduleStatus[]> {
  const found = () => master.call('schedules')
  await eventually(`the schedules are ${names}`, async () => (await found()).map(({ name }) => name).join() === names)
  return found()
}

function setsOf({ db }: TestDatabase): StoredSets {
  return new StoredSets(
    () => db.collection<ScheduleSet>('taskQueueSchedules'),
    () => db.collection<StoredTask>('taskQueue'),
  )
}

/** Changes a stored schedule, beside whatever the masters change. */
async function change(database: TestDatabase, name: string, fields: Partial<StoredSchedule>): Promise<void> {
  const sets = setsOf(database)
  const isWritten = async () => {
    const { set } = await sets.read(APP)
    const schedules = set.schedules.map(schedule => (schedule.name === name ? { ...schedule, ...fields } : schedule))
    return sets.replace(set, { paused: set.paused, schedules })
  }
  await eventually(`${name} is changed`, isWritten)
}

const ago = (milliseconds: number) => new Date(Date.now() - milliseconds)

Tinytest.addAsync('schedules - each tick adds one task, and what is kept of it is bare', async test => {
  await withMaster({ options: options({ tick: { ...everySecond, priority: 7 } }) }, async master => {
    const [first = '', second = ''] = await ticked([master], 'tick', 2)
    const at = new Date(first.slice(`${APP}/tick@`.length))
    test.equal(first, `${APP}/tick@${at.toISOString()}`)
    test.matches(second, /^shop\/tick@\S+:\d\d\.000Z$/)
    test.isTrue(second > first)
    const { task, value } = await master.ending(first)
    test.equal([task.dueDate, task.schedule, task.priority, value], [at, 'tick', 7, { n: 1 }])
    await eventually('it is done', async () => (await master.find(first, false))?.state === 'done')
    const { data, endedAt, removeAt, result, state } = await stored(master, first)
    test.equal([state, data, result], ['done', undefined, undefined])
    // 1,000 ticks of a second.
    test.equal(Math.round((Number(removeAt) - Number(endedAt)) / 1000), 1000)
  })
})

Tinytest.addAsync('schedules - a job knows its schedule and its tick, in every attempt', async test => {
  const retried = { taskType: 'tell', cron: '* * * * * *' }
  await withMaster({ options: options({ retried }) }, async master => {
    const [first = ''] = await ticked([master], 'retried', 1)
    const tickAt = new Date(first.slice(`${APP}/retried@`.length))
    const job = (await master.ending(first)).value as Job
    test.equal([job.schedule, job.tickAt], ['retried', tickAt])
    // The retry has moved it.
    test.isTrue(job.dueDate > tickAt)
    const requested = (await master.call('onSchedule', 'runSchedule', 'retried')) as string
    const { schedule, tickAt: none } = (await master.ending(requested)).value as Partial<Job>
    test.equal([schedule, none], [undefined, undefined])
  })
})

Tinytest.addAsync('schedules - three masters add one task for each tick, and none is missed', async test => {
  await withDatabase(async database => {
    const same = options({ tick: { ...everySecond, cron: EVERY_OTHER_SECOND } })
    await withMasters(database, [same, same, same], async (...masters) => {
      await ticked(masters, 'tick', 3)
      for (const [id, starts] of startsOn(masters)) test.equal([id, starts], [id, 1])
      // It has declared the schedules last.
      await masters[2]?.kill()
      const added = () => database.tasks.find({ schedule: 'tick' }).sort({ _id: 1 }).toArray()
      const count = (await added()).length
      await eventually('the others go on', async () => (await added()).length >= count + 3)
      const times = (await added()).map(({ dueDate }) => Number(dueDate))
      const isExplained = (time: number, n: number) =>
        n === 0 || time - (times[n - 1] ?? 0) === 2000 || skippedOn(masters).includes((times[n - 1] ?? 0) + 2000)
      test.isTrue(times.every(isExplained), `${times.join()}; skipped: ${skippedOn(masters).join()}`)
    })
  })
})

Tinytest.addAsync(
  'schedules - a master that is too slow meets the task of the tick, also when it is done',
  async test => {
    await withDatabase(async database => {
      await withMasters(database, [options({ hourly: { taskType: 'echo', cron: '0 * * * *' } })], async master => {
        const [hourly] = await declared(master, 'hourly')
        const before = new Date(Number(hourly?.nextAt) - HOUR)
        await change(database, 'hourly', { nextAt: before })
        const [id = ''] = await ticked([master], 'hourly', 1)
        test.equal(id, `${APP}/hourly@${before.toISOString()}`)
        await master.ending(id)
        await eventually('it is noticed', async () => (await statusOf(master, 'hourly'))?.last?.outcome === 'done')
        // As a master that was suspended saw it.
        await change(database, 'hourly', { nextAt: before })
        await eventually(
          'it looked again',
          async () => (await statusOf(master, 'hourly'))?.nextAt?.getTime() !== Number(before),
        )
        test.equal(startsOn([master]).get(id), 1)
        // Only its `_id`, its state and its times are kept.
        const error = await master.call('result', id).catch((thrown: unknown) => thrown as Error)
        test.equal((error as Error).name, 'TaskRemovedError')
      })
    })
  },
)

Tinytest.addAsync('schedules - those of a web-only process and of workers are not declared', async test => {
  const webOnly = options({ tick: everySecond }, { autoInitialize: false })
  await withMaster({ options: webOnly }, async master => {
    test.equal(await master.call('schedules'), [])
    await master.call('initialize')
    await ticked([master], 'tick', 1)
    // The task map is checked in workers too, and their schedules are those of the master.
    test.equal(
      (await master.call('schedules')).map(({ name }) => name),
      ['tick'],
    )
  })
})

Tinytest.addAsync('schedules - {} removes all, no option leaves them, and those of another app stay', async test => {
  await withDatabase(async database => {
    await withMasters(database, [options({ a: never, b: never })], async master => {
      await declared(master, 'a,b')
    })
    await withMasters(database, [options({ a: never }, { app: 'other' })], async master => {
      test.equal((await declared(master, 'a')).length, 1)
    })
    await withMasters(database, [{ ...BASE }], async master => {
      await master.resultOf({ taskType: 'echo', data: {} })
      await declared(master, 'a,b')
    })
    await withMasters(database, [options({})], async master => {
      await declared(master, '')
      await master.written(/schedule a is removed/)
    })
    await withMasters(database, [{ ...BASE, app: 'other' }], async master => {
      await declared(master, 'a')
    })
  })
})

Tinytest.addAsync('schedules - a restart keeps the next tick, and another timing changes it', async test => {
  await withDatabase(async database => {
    const start = async (every: number) => {
      let found: ScheduleStatus[] = []
      await withMasters(database, [options({ a: { taskType: 'echo', every } })], async master => {
        await eventually('it is declared', async () => (await master.call('schedules'))[0]?.every === every)
        found = await master.call('schedules')
      })
      return Number(found[0]?.nextAt)
    }
    const first = await start(DAY)
    test.equal(await start(DAY), first)
    test.isTrue((await start(DAY + 1000)) > first + 1000)
  })
})

Tinytest.addAsync('schedules - when an old version restarts last, the new schedules come back', async test => {
  await withDatabase(async database => {
    // The declarations of who was killed expire within a second.
    const quick = { leaseDuration: 500 }
    const current = options({ old: never, tick: everySecond }, quick)
    await withMasters(database, [current, options({ old: never }, quick)], async (newer, older) => {
      await declared(newer, 'old')
      await older.kill()
      await ticked([newer], 'tick', 2)
      // A clean stop is known at once.
      const again = await RemoteMaster.start({ database, options: options({}, { leaseDuration: 3_600_000 }) })
      try {
        await declared(newer, '')
        await again.call('stop')
        await declared(newer, 'old,tick')
      } finally {
        await again.stop()
      }
      test.equal((await newer.call('schedules')).length, 2)
    })
  })
})

Tinytest.addAsync('schedules - the last missed tick is caught up on, if that is wanted', async test => {
  await withDatabase(async database => {
    const daily = { taskType: 'echo', every: DAY }
    const all = options({ wanted: daily, unwanted: { ...daily, catchUp: 'none' }, late: daily })
    await withMasters(database, [all], async master => {
      await declared(master, 'wanted,unwanted,late')
    })
    // Three ticks were missed, the last of them five hours ago; of `late`, one was missed more than a day ago.
    const anchor = ago(5 * DAY + 5 * HOUR)
    const missed = { timing: { every: DAY, anchor }, nextAt: new Date(anchor.getTime() + 3 * DAY) }
    for (const name of ['wanted', 'unwanted']) await change(database, name, missed)
    const rare = { timing: { every: 26 * HOUR, anchor: ago(51 * HOUR) }, nextAt: ago(25 * HOUR) }
    await change(database, 'late', rare)
    const again = options({
      wanted: daily,
      unwanted: { ...daily, catchUp: 'none' },
      late: { ...daily, every: 26 * HOUR },
    })
    await withMasters(database, [again], async master => {
      const [id] = await ticked([master], 'wanted', 1)
      test.equal(id, `${APP}/wanted@${new Date(anchor.getTime() + 5 * DAY).toISOString()}`)
      await eventually('none is due', async () => {
        const times = (await master.call('schedules')).map(({ nextAt }) => Number(nextAt))
        return times.every(time => time > Date.now())
      })
      test.equal([ticksOn([master], 'unwanted'), ticksOn([master], 'late')], [[], []])
      test.equal(ticksOn([master], 'wanted').length, 1)
    })
  })
})

Tinytest.addAsync('schedules - while the last task has not ended, ticks are skipped', async test => {
  const holding = { taskType: 'hold', cron: '* * * * * *' }
  await withMaster({ options: options({ holding }) }, async master => {
    const [first = ''] = await ticked([master], 'holding', 1)
    await master.held(first)
    await master.written(/schedule holding: skipping ticks from \S+Z on, until the task of the previous tick has ended/)
    test.equal(await master.database.tasks.countDocuments({ schedule: 'holding' }), 1)
    await master.call('release', first)
    const [, second = ''] = await ticked([master], 'holding', 2)
    test.isTrue(second > first)
  })
})

Tinytest.addAsync('schedules - with overlap queue, one tick waits for the end of the last task', async test => {
  const holding = { taskType: 'hold', cron: EVERY_OTHER_SECOND, overlap: 'queue' } as const
  const both = options({ holding }, { maxAvailableWorkers: 2 })
  await withMaster({ options: both }, async master => {
    const [first = ''] = await ticked([master], 'holding', 1)
    await master.held(first)
    await master.written(/schedule holding: skipping ticks from /)
    test.equal(await master.database.tasks.countDocuments({ schedule: 'holding' }), 1)
    await master.call('release', first)
    const [, second = ''] = await ticked([master], 'holding', 2)
    // The tick that came next, although more have passed.
    test.equal(timeOf(second) - timeOf(first), 2000)
  })
})

Tinytest.addAsync('schedules - a pause holds for all masters and outlives a restart, a run ignores it', async test => {
  await withDatabase(async database => {
    let pausedAt = Infinity
    await withMasters(
      database,
      [options({ tick: everySecond }), { ...BASE, autoInitialize: false }],
      async (master, web) => {
        await ticked([master], 'tick', 1)
        test.equal(await web.call('onSchedule', 'pauseSchedule', 'tick'), true)
        pausedAt = Date.now()
        test.equal(await web.call('onSchedule', 'pauseSchedule', 'tick'), false)
        const { isPaused, nextAt } = (await statusOf(master, 'tick')) ?? {}
        test.equal([isPaused, nextAt], [true, undefined])
      },
    )
    await withMasters(database, [options({ tick: everySecond })], async master => {
      await declared(master, 'tick')
      const run = (await master.call('onSchedule', 'runSchedule', 'tick')) as string
      test.equal((await master.ending(run)).value, { n: 1 })
      // Two ticks have passed since.
      const since = Date.now()
      await eventually('two seconds have passed', () => Date.now() > since + 2000)
      // The task of an earlier tick may have been left.
      const ticksAfter = (time: number) => ticksOn([master], 'tick').filter(id => timeOf(id) > time)
      test.equal(ticksAfter(pausedAt), [])
      const method: ScheduleMethod = 'resumeSchedule'
      const resume = { taskType: 'onSchedule', data: { method, name: 'tick' } }
      test.equal([await master.resultOf(resume), await master.resultOf(resume)], [true, false])
      await master.until('a tick', () => ticksAfter(pausedAt).length > 0)
      test.equal(ticksAfter(pausedAt), ticksAfter(since + 2000))
    })
  })
})

Tinytest.addAsync('schedules - their list says when each is next, and how the last task has ended', async test => {
  const hourly = { cron: '0 * * * *', timeZone: 'Asia/Kolkata' }
  const all = options({
    done: { taskType: 'echo', ...hourly },
    failed: { taskType: 'fail', ...hourly },
    cancelled: { taskType: 'hold', ...hourly },
    removed: { taskType: 'hold', ...hourly },
    every: { taskType: 'echo', every: DAY },
  })
  await withMaster({ options: { ...all, abortGrace: 100, maxAvailableWorkers: 2 } }, async master => {
    const { database } = master
    const before = await declared(master, 'done,failed,cancelled,removed,every')
    test.equal(before[0]?.timeZone, 'Asia/Kolkata')
    test.equal(before[0]?.nextAt?.getMinutes(), 30)
    test.equal([before[4]?.every, before[4]?.cron, before[4]?.last], [DAY, undefined, undefined])
    const tick = new Date(Number(before[0]?.nextAt) - HOUR)
    for (const name of ['done', 'failed', 'cancelled', 'removed']) await change(database, name, { nextAt: tick })
    const idOf = (name: string) => `${APP}/${name}@${tick.toISOString()}`
    await Promise.all([master.held(idOf('cancelled')), master.held(idOf('removed'))])
    await eventually('the tick is noted', async () => (await statusOf(master, 'cancelled'))?.last !== undefined)
    test.equal((await statusOf(master, 'cancelled'))?.last, { at: tick, taskId: idOf('cancelled'), outcome: undefined })
    await master.call('cancel', idOf('cancelled'))
    await master.call('remove', idOf('removed'))
    const outcomes = async () => (await master.call('schedules')).map(({ last }) => last?.outcome).join()
    await eventually('all are noticed', async () => (await outcomes()) === 'done,failed,cancelled,removed,')
    test.equal((await statusOf(master, 'done'))?.last, { at: tick, taskId: idOf('done'), outcome: 'done' })
  })
})

Tinytest.addAsync('schedules - the clock of the database decides when a tick is due', async test => {
  await withMaster({ options: options({ tick: everySecond }) }, async master => {
    await ticked([master], 'tick', 1)
    await master.call('setClock', -3_600_000)
    const before = new Date()
    const count = ticksOn([master], 'tick').length
    const ids = await ticked([master], 'tick', count + 2)
    const time = timeOf(ids.at(-1))
    test.isTrue(Math.abs(time - before.getTime()) < 60_000, ids.join())
  })
})

Tinytest.addAsync(
  'schedules - the _id of a failed tick stays taken, however short failed tasks are kept',
  async test => {
    const failing = { taskType: 'fail', cron: '* * * * * *', keepFailed: 1 }
    await withMaster({ options: options({ failing }) }, async master => {
      const [id = ''] = await ticked([master], 'failing', 1)
      await master.ending(id)
      await eventually('it has failed', async () => (await master.find(id, false))?.state === 'failed')
      const { endedAt, removeAt } = await stored(master, id)
      test.equal(Math.round((Number(removeAt) - Number(endedAt)) / 1000), 1000)
    })
  },
)

Tinytest.addAsync(
  'schedules - with keepDone the result of a tick is kept, and a waiter gets it in any case',
  async test => {
    const kept = { taskType: 'echo', data: { n: 2 }, cron: '* * * * * *', keepDone: DAY * 3 }
    const held = { taskType: 'hold', cron: '* * * * * *' }
    await withMaster({ options: options({ kept, held }, { maxAvailableWorkers: 2 }) }, async master => {
      const [id = ''] = await ticked([master], 'kept', 1)
      await eventually('it is done', async () => (await master.find(id, false))?.state === 'done')
      const { data, endedAt, removeAt, result } = await stored(master, id)
      test.equal([data, result, Math.round((Number(removeAt) - Number(endedAt)) / DAY)], [{ n: 2 }, { n: 2 }, 3])
      const [awaited = ''] = await ticked([master], 'held', 1)
      await master.held(awaited)
      const result2 = master.call('result', awaited)
      await eventually('it is awaited', async () => (await master.find(awaited, false))?.awaited === 'result')
      await master.call('release', awaited, 'the answer')
      test.equal(await result2, 'the answer')
      // Whoever watches a task sees all of it.
      test.equal((await stored(master, awaited)).data, {})
    })
  },
)

Tinytest.addAsync('schedules - the master of the process that resumes one knows of it at once', async test => {
  // It looks every twenty minutes.
  const rare = options({ tick: everySecond }, { leaseDuration: 3_600_000 })
  await withMaster({ options: rare }, async master => {
    await ticked([master], 'tick', 1)
    test.isTrue(await master.call('onSchedule', 'pauseSchedule', 'tick'))
    // The master has looked once more, and has nothing to do for twenty minutes.
    const pausedAt = Date.now()
    await eventually('the next tick is past', () => Date.now() > pausedAt + 1500)
    const count = ticksOn([master], 'tick').length
    test.isTrue(await master.call('onSchedule', 'resumeSchedule', 'tick'))
    await ticked([master], 'tick', count + 2)
  })
})

Tinytest.addAsync('schedules - while the newest master lives, an older one does not declare its own', async test => {
  await withDatabase(async database => {
    const settings = [options({ old: never }), options({ current: never })]
    await withMasters(database, settings, async older => {
      await declared(older, 'current')
      const declaration = async () => (await setsOf(database).read(APP)).set.declaredBy
      const { expiresAt, id } = (await declaration()) ?? {}
      // As long as two declarations are valid.
      await eventually(
        'it was renewed',
        async () => Number((await declaration())?.expiresAt) > Number(expiresAt) + 2000,
      )
      test.equal((await declaration())?.id, id)
      await declared(older, 'current')
    })
  })
})

Tinytest.addAsync('schedules - without a time zone, cron is in UTC, whatever that of the machine is', async test => {
  const daily = { taskType: 'echo', cron: '0 0 * * *' }
  await withMaster({ options: options({ daily }), env: { TZ: 'Asia/Kolkata' } }, async master => {
    const [status] = await declared(master, 'daily')
    test.equal(status?.nextAt?.toISOString().slice(10), 'T00:00:00.000Z')
  })
})

Tinytest.addAsync('schedules - one whose next tick cannot be told stops no other', async test => {
  await withMaster({ options: options({ broken: never, tick: everySecond }) }, async master => {
    await declared(master, 'broken,tick')
    const unknown = { cron: 'of a later version', timeZone: 'UTC' }
    await change(master.database, 'broken', { timing: unknown, nextAt: ago(1000) })
    await master.written(/schedule broken: its next tick failed/)
    const count = ticksOn([master], 'tick').length
    await ticked([master], 'tick', count + 2)
    test.equal(master.output.match(/tick failed/g)?.length, 1)
    await change(master.database, 'broken', { timing: { cron: '* * * * * *', timeZone: 'UTC' } })
    await ticked([master], 'broken', 1)
  })
})

Tinytest.addAsync('schedules - data with any field names arrives as it was declared', async test => {
  const data = JSON.parse('{ "a.b": { "__proto__": [1], "c d": "$x" } }') as object
  await withMaster({ options: options({ odd: { taskType: 'echo', data, every: 1000 } }) }, async master => {
    const [id = ''] = await ticked([master], 'odd', 1)
    test.equal(JSON.stringify((await master.ending(id)).value), JSON.stringify(data))
  })
})

Tinytest.addAsync('schedules - a clock of the database that was ahead for a while stops none', async test => {
  await withDatabase(async database => {
    const all = options({ tick: everySecond, poll: { taskType: 'echo', every: 1000 } })
    await withMasters(database, [all], async master => {
      await declared(master, 'tick,poll')
    })
    const later = new Date(Date.now() + 30 * DAY)
    await change(database, 'tick', { nextAt: later })
    await change(database, 'poll', { nextAt: later, timing: { every: 1000, anchor: later } })
    await withMasters(database, [all], async master => {
      const [tick = ''] = await ticked([master], 'tick', 1)
      await ticked([master], 'poll', 1)
      test.isTrue(timeOf(tick) < Date.now() + HOUR)
    })
  })
})

Tinytest.addAsync('schedules - one whose tasks the database refuses stops no other', async test => {
  await withDatabase(async database => {
    await database.tasks.createIndex(
      { 'data.key': 1 },
      { unique: true, partialFilterExpression: { 'data.key': 'taken' } },
    )
    await database.tasks.insertOne({ _id: 'theirs', taskType: 'of another app', data: { key: 'taken' } })
    const refused = { taskType: 'echo', data: { key: 'taken' }, cron: '* * * * * *' }
    await withMasters(database, [options({ refused, tick: everySecond })], async master => {
      await ticked([master], 'tick', 2)
      await eventually('it is noted', async () => (await statusOf(master, 'tick'))?.last?.outcome === 'done')
      await master.written(/schedule refused: its next tick failed, retrying/)
      test.equal((await statusOf(master, 'refused'))?.last, undefined)
    })
  })
})

Tinytest.addAsync('schedules - of two changes to what was read once, the second is not written', async test => {
  await withDatabase(async database => {
    const sets = setsOf(database)
    const { set } = await sets.read(APP)
    test.isTrue(await sets.replace(set, { paused: ['first'], schedules: [] }))
    test.isFalse(await sets.replace(set, { paused: ['second'], schedules: [] }))
    test.equal((await sets.read(APP)).set.paused, ['first'])
  })
})

Tinytest.addAsync('schedules - an idle master with ten of them sends at most one command a second', async () => {
  const gate = await CommandGate.open(process.env.MONGO_URL ?? '')
  const ten = Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`s${String(n)}`, never]))
  try {
    await withDatabase(async database => {
      const env = { MONGO_URL: gate.urlOf(database.name) }
      const idle = { app: APP, schedules: ten, refreshRate: 1000, withLimits: true } as const
      await withMaster({ database, env, options: idle }, async master => {
        await declared(master, Object.keys(ten).join())
        const looks = () => gate.sent('aggregate').filter(({ body }) => body.aggregate === 'taskQueueSchedules').length
        // What a start sends may be late.
        await eventually('at most one command a second', async () => {
          const [from, before, since] = [gate.commands.length, looks(), performance.now()]
          await eventually('it has looked at its schedules', () => looks() > before)
          const seconds = (performance.now() - since) / 1000
          // The driver's own, and the change stream that waits in the database.
          const own = ['hello', 'ismaster', 'isMaster', 'getMore', 'endSessions', 'ping']
          return gate.commands.slice(from).filter(({ name }) => !own.includes(name)).length <= seconds + 1
        })
      })
    })
  } finally {
    await gate.close()
  }
})

Tinytest.addAsync(
  'schedules - data that does not fit its schema is said at the start, and not only at a tick',
  async test => {
    const unfit = { taskType: 'textOnly', data: { at: 5 }, cron: '0 0 1 1 *' }
    await withMaster({ options: options({ unfit, never }) }, async master => {
      await master.written(/schedule unfit: all its tasks will fail: InvalidDataError: .*data\.at\.0: Expected text/)
      await declared(master, 'unfit,never')
      const refused = master.call('onSchedule', 'runSchedule', 'unfit')
      test.matches(String(await refused.catch((error: unknown) => error)), /of type "textOnly" does not fit its schema/)
    })
  },
)

Tinytest.add('schedules - without APP_ID and the option app, an error names both', test => {
  const schedules = new Schedules({} as SchedulesParts, undefined)
  test.throws(
    () => schedules.app,
    /need the name of the app: set the option app of `new Cluster`, or the environment variable APP_ID/,
  )
  schedules.configure('shop')
  test.equal(schedules.app, 'shop')
})

Tinytest.addAsync('schedules - a name that the app does not have is refused, with those that it has', async test => {
  await withMaster({ options: options({ nightly: never, hourly: never }) }, async master => {
    await declared(master, 'nightly,hourly')
    for (const method of ['runSchedule', 'pauseSchedule', 'resumeSchedule'] as const) {
      const error = await master.call('onSchedule', method, 'nightli').catch((thrown: unknown) => thrown as Error)
      const expected = `${method}.name is "nightli" (string); allowed: one of nightly, hourly. Did you mean nightly?`
      test.equal((error as Error).message, `nschwarz:cluster: ${expected}`)
    }
  })
})

/** `TaskQueue.pause` and `TaskQueue.resume`. */
import type { NewTask } from 'meteor/nschwarz:cluster'
import { Tinytest } from 'meteor/tinytest'
import { Admission } from '../server/master/claims/admission'
import { type Command, CommandGate } from './support/command-gate'
import type { TestDatabase } from './support/database'
import { QUEUES, runsOf } from './support/queues'
import { RemoteMaster, withDatabase, withMaster } from './support/remote-master'
import { eventually } from './support/wait'

/** Only signals wake the master. */
const NO_TICKS = { refreshRate: 3_600_000, keepAlive: 'always', withLimits: true } as const

function echoes(count: number, inMemory: boolean): NewTask[] {
  return Array.from({ length: count }, (_, n) => ({ taskType: 'echo', data: { n }, priority: 9, inMemory }))
}

function startsOf(master: RemoteMaster, taskType: string): number {
  return [...master.output.matchAll(new RegExp(`:nschwarz:cluster:${taskType}:\\S+\tstarted`, 'g'))].length
}

async function pausedAre(master: RemoteMaster, types: readonly string[]): Promise<void> {
  const paused = async () => (await master.call('stats'))?.paused.join()
  await eventually(`${types.join()} are paused`, async () => (await paused()) === types.join())
}

/** Whatever the master does first, it has done: a task that comes after all others ends. */
async function restOf(master: RemoteMaster, inMemory: boolean): Promise<unknown> {
  return master.resultOf({ taskType: 'text', data: { bytes: 1 }, inMemory })
}

for (const { kind, inMemory } of QUEUES) {
  Tinytest.addAsync(`pauses - ${kind}: a paused type starts nothing until it is resumed`, async test => {
    await withMaster({ options: NO_TICKS }, async master => {
      test.equal([await master.call('pause', 'echo'), await master.call('pause', 'echo')], [true, false])
      const ids = await master.call('addTasks', echoes(3, inMemory))
      ids.push(await master.addTask({ taskType: 'echo', data: { n: 3 }, inMemory }))
      await restOf(master, inMemory)
      await master.caughtUp()
      test.equal(startsOf(master, 'echo'), 0)
      for (const _id of ids) {
        const { attempts, state } = (await master.find(_id, inMemory)) ?? {}
        test.equal([attempts, state], [undefined, 'waiting'])
      }
      test.equal([await master.call('resume', 'echo'), await master.call('resume', 'echo')], [true, false])
      for (const [n, _id] of ids.entries()) test.equal((await master.ending(_id)).value, { n })
      await master.written(/INFO\techo is paused: .*TaskQueue\.resume/)
      await master.written(/INFO\techo is resumed/)
    })
  })

  Tinytest.addAsync(`pauses - ${kind}: a running job goes on, and what it leaves is not tried again`, async test => {
    await withMaster({ options: { ...NO_TICKS, maxAvailableWorkers: 2 } }, async master => {
      const given = { taskType: 'holdThenFail', data: {}, retries: 1, backoff: 1, inMemory }
      const _id = await master.addTask(given)
      await master.held(_id)
      await master.call('pause', 'holdThenFail')
      await restOf(master, inMemory)
      await master.call('release', _id)
      await master.notice('retry')
      await restOf(master, inMemory)
      test.equal(runsOf(master, _id), 1)
      await master.call('resume', 'holdThenFail')
      await master.held(_id, 2)
      await master.call('release', _id)
      test.equal((await master.ending(_id)).task.attempts, 2)
    })
  })

  Tinytest.addAsync(`pauses - ${kind}: a job of the queue pauses a type, and another resumes it`, async test => {
    await withMaster({ options: NO_TICKS }, async master => {
      test.equal(
        await master.resultOf({ taskType: 'setPaused', data: { taskType: 'echo', isPaused: true }, inMemory }),
        true,
      )
      await pausedAre(master, ['echo'])
      const [_id = ''] = await master.call('addTasks', echoes(1, inMemory))
      await restOf(master, inMemory)
      await master.caughtUp()
      test.equal(startsOf(master, 'echo'), 0)
      test.equal(
        await master.resultOf({ taskType: 'setPaused', data: { taskType: 'echo', isPaused: false }, inMemory }),
        true,
      )
      test.equal((await master.ending(_id)).event, 'done')
    })
  })

  Tinytest.addAsync(`pauses - ${kind}: no worker is forked for a paused type`, async test => {
    await withMaster({ options: { ...NO_TICKS, keepAlive: null } }, async master => {
      await master.call('pause', 'hold')
      const [_id = ''] = await master.call('addTasks', [{ taskType: 'hold', data: {}, inMemory }])
      await master.call('setRefreshRate', 20)
      await eventually('it was polled', async () => (await master.call('counts')).waiting === (inMemory ? 0 : 1))
      test.equal((await master.call('stats'))?.workers, [])
      await master.call('resume', 'hold')
      await master.held(_id)
    })
  })

  Tinytest.addAsync(`pauses - ${kind}: a paused task can be cancelled and removed`, async test => {
    await withMaster({ options: NO_TICKS }, async master => {
      await master.call('pause', 'echo')
      const [cancelled = '', removed = '', last = ''] = await master.call('addTasks', echoes(3, inMemory))
      test.isTrue(await master.call('cancel', cancelled))
      if (inMemory) await master.call('removeById', removed)
      else await master.call('remove', removed)
      await master.call('resume', 'echo')
      test.equal((await master.ending(last)).event, 'done')
      test.equal(await master.startedUntil(last), [last])
    })
  })
}

Tinytest.addAsync('pauses - what the master has claimed ahead is released, uncounted', async test => {
  await withMaster({ options: NO_TICKS }, async master => {
    const { tasks } = master.database
    const running = () => tasks.countDocuments({ taskType: 'block', state: 'running' })
    const block = { taskType: 'block', data: { milliseconds: 40 }, priority: 9 }
    await master.call('addTasks', Array<NewTask>(60).fill(block))
    await eventually('some are claimed ahead', async () => (await running()) > 1)
    await master.call('pause', 'block')
    const before = await tasks.countDocuments({ taskType: 'block' })
    await eventually('none is claimed', async () => (await running()) === 0)
    const left = await tasks.find({ taskType: 'block' }).toArray()
    // One was running, one may have been on its way to the worker, and some were done and not yet deleted.
    test.isTrue(before - left.length < 6, `${String(before - left.length)} have ended since`)
    for (const { attempts, state } of left) test.equal([attempts ?? 0, state], [0, 'waiting'])
    await restOf(master, false)
    test.equal(await tasks.countDocuments({ taskType: 'block' }), left.length)
    test.equal((await master.call('stats'))?.buffered, 0)
    await master.call('resume', 'block')
    await eventually('the next is done', async () => (await tasks.countDocuments({ taskType: 'block' })) < left.length)
  })
})

/** The options of another process that uses the same queue, by what it is. */
const OTHERS = { 'another master': NO_TICKS, 'a web-only process': { ...NO_TICKS, withoutCluster: true } } as const

for (const [what, options] of Object.entries(OTHERS)) {
  Tinytest.addAsync(`pauses - ${what} pauses and resumes for all masters, at their next poll`, async test => {
    await withDatabase(async database => {
      const isThere = async (_id = '') => (await database.tasks.findOne({ _id })) !== null
      const [master, other] = await Promise.all([
        RemoteMaster.start({ database, options: { ...NO_TICKS, refreshRate: 50 } }),
        RemoteMaster.start({ database, options }),
      ])
      try {
        test.isTrue(await other.call('pause', 'echo'))
        await pausedAre(master, ['echo'])
        const [_id = '', last] = await master.call('addTasks', [
          ...echoes(1, false),
          { taskType: 'text', data: { bytes: 1 } },
        ])
        await eventually('what comes after it has run', async () => !(await isThere(last)))
        test.isTrue(await isThere(_id))
        test.isTrue(await other.call('resume', 'echo'))
        await eventually('it has run', async () => !(await isThere(_id)))
      } finally {
        await Promise.all([master.stop(), other.stop()])
      }
    })
  })
}

async function pausedBefore(database: TestDatabase, taskType: string): Promise<void> {
  await withMaster({ database, options: NO_TICKS }, async master => {
    await master.call('pause', taskType)
  })
}

Tinytest.addAsync('pauses - a master that starts knows the pauses before it claims, and names them', async test => {
  await withDatabase(async database => {
    await pausedBefore(database, 'echo')
    await withMaster({ database, options: { ...NO_TICKS, withoutCluster: true } }, async web => {
      await web.call('addTasks', echoes(3, false))
    })
    const isPoll = ({ name, body }: Command) => name === 'aggregate' && JSON.stringify(body).includes('$unionWith')
    const gate = await CommandGate.open(process.env.MONGO_URL ?? '')
    gate.judge = command => (isPoll(command) ? 'hold' : 'pass')
    const env = { MONGO_URL: gate.urlOf(database.name) }
    await withMaster({ database, env, options: NO_TICKS }, async master => {
      await eventually('it polls, and gets no answer', () => gate.commands.some(isPoll))
      await restOf(master, false)
      await master.caughtUp()
      test.equal(startsOf(master, 'echo'), 0)
      await master.written(/INFO\techo is paused/)
      test.equal((await master.call('counts')).waiting, 3)
      await master.call('resume', 'echo')
      await eventually('all have run', () => startsOf(master, 'echo') === 3)
    })
    await gate.close()
  })
})

Tinytest.addAsync('pauses - with inMemoryOnly, the master knows the pauses of its own processes', async test => {
  await withMaster({ options: { ...NO_TICKS, inMemoryOnly: true } }, async master => {
    await master.call('pause', 'echo')
    const [_id = ''] = await master.call('addTasks', echoes(1, true))
    await restOf(master, true)
    await master.caughtUp()
    test.equal(startsOf(master, 'echo'), 0)
    await master.call('resume', 'echo')
    test.equal((await master.ending(_id)).event, 'done')
  })
})

Tinytest.addAsync('pauses - two processes that pause a type at once both succeed, one of them first', async test => {
  await withMaster({ options: NO_TICKS }, async master => {
    const paused = await Promise.all(Array.from({ length: 20 }, () => master.call('pause', 'echo')))
    test.equal(paused.filter(isNew => isNew).length, 1)
    test.equal((await master.call('stats'))?.paused, ['echo'])
  })
})

Tinytest.addAsync('pauses - no reader of the tasks meets a pause', async test => {
  await withMaster({ options: { ...NO_TICKS, refreshRate: 20 } }, async master => {
    await master.call('pause', 'echo')
    await pausedAre(master, ['echo'])
    test.equal(await master.database.tasks.countDocuments(), 0)
    const [pause] = await master.database.pauses.find().toArray()
    test.equal(Object.keys(pause ?? {}).sort(), ['_id', 'pausedAt'])
    test.isTrue(pause?.pausedAt instanceof Date)
  })
})

Tinytest.add('pauses - a pause before the stored ones were read does not make these known', test => {
  const admission = new Admission(new Map(), true)
  const early = admission.readPauses()
  admission.setPaused('A', true)
  test.equal(admission.paused, ['A'])
  early([])
  test.equal([admission.roomOf('A'), admission.roomOf('B'), admission.roomOf('C')], Array(3).fill(-Infinity))
  admission.readPauses()(['A', 'B'])
  test.equal([admission.paused, admission.roomOf('B'), admission.roomOf('C')], [['A', 'B'], -Infinity, Infinity])
})

Tinytest.add('pauses - what was read before a type was paused here does not resume it', test => {
  const admission = new Admission(new Map())
  const changes: unknown[] = []
  admission.listen({ capacityFreed: () => undefined, pausesChanged: (...types) => changes.push(types) })
  const early = admission.readPauses()
  admission.setPaused('A', true)
  early(['B'])
  test.equal([admission.paused, admission.roomOf('A'), admission.roomOf('B')], [['A'], -Infinity, Infinity])
  admission.readPauses()(['B', 'A'])
  test.equal(admission.paused.sort(), ['A', 'B'])
  const late = admission.readPauses()
  admission.setPaused('A', false)
  late(['A', 'B'])
  test.equal([admission.paused, admission.roomOf('A')], [['B'], Infinity])
  test.equal(changes, [
    [['A'], []],
    [['B'], []],
    [[], ['A']],
  ])
})

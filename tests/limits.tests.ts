/** `perMaster`: how many jobs of a type one master runs at once. */
import type { NewTask } from 'meteor/nschwarz:cluster'
import { Tinytest } from 'meteor/tinytest'
import { behindCommandGate } from './support/behind-command-gate'
import type { Command } from './support/command-gate'
import { LIMIT } from './support/limit-tasks'
import { QUEUES } from './support/queues'
import { RemoteMaster, withDatabase, withMaster } from './support/remote-master'
import { eventually } from './support/wait'

/** Only signals wake the master, and there are more slots than a limited type may have. */
const FOUR_SLOTS = {
  refreshRate: 3_600_000,
  keepAlive: 'always',
  maxAvailableWorkers: 2,
  workerConcurrency: 2,
  withLimits: true,
} as const

function heldIds(master: RemoteMaster): string[] {
  return master.notices('held').map(({ taskId }) => taskId)
}

async function heldAre(master: RemoteMaster, ids: readonly string[]): Promise<void> {
  const expected = [...ids].sort().join()
  await eventually(`${expected} are held`, () => heldIds(master).sort().join() === expected)
}

/** The most of these spans that overlap. There may be fewer than could be: a job may end before the next is claimed. */
function mostAtOnce(spans: readonly (readonly [number, number])[]): number {
  const changes = spans.flatMap(([from, to]) => [[from, 1] as const, [to, -1] as const])
  let [running, most] = [0, 0]
  for (const [, change] of changes.sort(([a, up], [b, down]) => a - b || up - down)) {
    running += change
    most = Math.max(most, running)
  }
  return most
}

function spans(count: number, inMemory: boolean): NewTask[] {
  return Array<NewTask>(count).fill({ taskType: 'limitedSpan', data: { milliseconds: 3 }, inMemory })
}

async function spansOf(master: RemoteMaster, ids: readonly string[]): Promise<[number, number][]> {
  const found: [number, number][] = []
  for (const _id of ids) found.push((await master.ending(_id)).value as [number, number])
  return found
}

for (const { kind, inMemory } of QUEUES) {
  Tinytest.addAsync(`limits - ${kind}: a type that is full holds up no other, however urgent it is`, async test => {
    await withMaster({ options: FOUR_SLOTS }, async master => {
      const limited = { taskType: 'limitedHold', data: {}, priority: 9, inMemory }
      const ids = await master.call('addTasks', Array<NewTask>(LIMIT + 2).fill(limited))
      await heldAre(master, ids.slice(0, LIMIT))
      const added = await master.addTask(limited)
      for (let n = 0; n < 3; n++) test.equal(await master.resultOf({ taskType: 'echo', data: { n }, inMemory }), { n })
      test.equal(heldIds(master).length, LIMIT)
      // It was not even claimed.
      test.isUndefined((await master.find(added, inMemory))?.attempts)
      await master.call('cancel', added)
      for (const [index, _id] of ids.entries()) {
        await master.call('release', _id)
        test.equal((await master.ending(_id)).event, 'done')
        await heldAre(master, ids.slice(0, index + LIMIT + 1))
      }
    })
  })

  Tinytest.addAsync(`limits - ${kind}: no more than the limit run at once, however they are added`, async test => {
    await withMaster({ options: FOUR_SLOTS }, async master => {
      const ids = await master.call('addTasks', spans(40, inMemory))
      for (let n = 0; n < 20; n++) for (const task of spans(1, inMemory)) ids.push(await master.addTask(task))
      if (!inMemory) {
        await master.resultOf({ taskType: 'addMany', data: spans(20, false).map(task => ({ ...task })) })
        for (const { _id } of await master.database.tasks.find({ taskType: 'limitedSpan' }).toArray()) {
          if (!ids.includes(_id)) ids.push(_id)
        }
      }
      test.isTrue(mostAtOnce(await spansOf(master, ids)) <= LIMIT)
    })
  })

  Tinytest.addAsync(`limits - ${kind}: workers are forked for what may run, and for no more`, async test => {
    await withMaster(
      { options: { ...FOUR_SLOTS, keepAlive: null, workerConcurrency: 1, maxAvailableWorkers: 3 } },
      async master => {
        const limited = { taskType: 'limitedHold', data: {}, inMemory }
        const ids = await master.call('addTasks', Array<NewTask>(LIMIT + 3).fill(limited))
        await heldAre(master, ids.slice(0, LIMIT))
        test.equal((await master.call('stats'))?.workers.length, LIMIT)
      },
    )
  })

  Tinytest.addAsync(`limits - ${kind}: a task that crashes, or is tried again, gives its place back`, async test => {
    await withMaster({ options: { ...FOUR_SLOTS, maxCrashes: 1 } }, async master => {
      const [crashed, next] = await master.call('addTasks', [
        { taskType: 'limitedToOne', data: { does: 'die' }, inMemory },
        { taskType: 'limitedToOne', data: { does: 'die' }, inMemory },
      ])
      for (const _id of [crashed, next]) test.equal((await master.ending(_id ?? '')).event, 'error')
      const data = { does: 'failUntil', attempt: 3 }
      const ids = await master.call('addTasks', Array<NewTask>(3).fill({ taskType: 'limitedToOne', data, inMemory }))
      for (const _id of ids) test.equal((await master.ending(_id)).value, 3)
    })
  })

  Tinytest.addAsync(`limits - ${kind}: a waiting task of a full type can be cancelled or removed`, async test => {
    await withMaster({ options: FOUR_SLOTS }, async master => {
      const limited = { taskType: 'limitedHold', data: {}, inMemory }
      const ids = await master.call('addTasks', Array<NewTask>(LIMIT + 3).fill(limited))
      const [cancelled = '', removed = '', last = ''] = ids.slice(LIMIT)
      await heldAre(master, ids.slice(0, LIMIT))
      test.isTrue(await master.call('cancel', cancelled))
      if (inMemory) await master.call('removeById', removed)
      else await master.call('remove', removed)
      await master.call('release', ids[0] ?? '')
      await master.held(last)
      test.equal(heldIds(master).sort(), [...ids.slice(0, LIMIT), last].sort())
    })
  })
}

Tinytest.addAsync('limits - tasks of both queues count together', async test => {
  await withMaster({ options: FOUR_SLOTS }, async master => {
    const both = spans(30, true).flatMap((task, index) => [task, ...spans(1, index % 2 === 0)])
    const ids: string[] = []
    for (const task of both) ids.push(await master.addTask(task))
    test.isTrue(mostAtOnce(await spansOf(master, ids)) <= LIMIT)
  })
})

Tinytest.addAsync('limits - what is added to a full type costs no query', async () => {
  const looksForTasks = ({ name }: Command) => name === 'findAndModify' || name === 'find'
  await behindCommandGate(
    () => 'pass',
    // With the leases it would look for requests to cancel.
    { ...FOUR_SLOTS, leaseDuration: 3_600_000 },
    async (master, gate) => {
      await master.workersAre(2)
      const limited = { taskType: 'limitedHold', data: {} }
      const ids = await master.call('addTasks', Array<NewTask>(LIMIT + 1).fill(limited))
      await heldAre(master, ids.slice(0, LIMIT))
      // Fetches and polls in flight may fall into a round, not into each.
      await eventually('nothing is asked for twenty tasks', async () => {
        const before = gate.commands.filter(looksForTasks).length
        for (let n = 0; n < 20; n++) await master.addTask(limited)
        return gate.commands.filter(looksForTasks).length === before
      })
    },
  )
})

Tinytest.addAsync('limits - a claim that comes when another task has taken the last place is released', async test => {
  const looksForTasks = ({ name, body }: Command) =>
    name === 'findAndModify' || (name === 'find' && (body.filter as { state?: string }).state === 'waiting')
  await behindCommandGate(
    command => (looksForTasks(command) ? 'hold' : 'pass'),
    FOUR_SLOTS,
    async (master, gate) => {
      await master.workersAre(2)
      const limited = { taskType: 'limitedToOne', data: { does: 'hold' } }
      const claimed = await master.addTask(limited)
      await eventually('its claim is sent', () => gate.commands.some(looksForTasks))
      const first = await master.addTask({ ...limited, inMemory: true })
      await master.held(first)
      gate.release()
      await eventually('it was released', async () => (await master.find(claimed, false))?.attempts === 0)
      test.equal(heldIds(master), [first])
      await master.call('release', first)
      await master.held(claimed)
    },
  )
})

Tinytest.addAsync('limits - each master has a limit of its own', async test => {
  await withDatabase(async database => {
    const masters = await Promise.all([1, 2].map(() => RemoteMaster.start({ options: FOUR_SLOTS, database })))
    try {
      const limited = { taskType: 'limitedHold', data: {} }
      const ids = (await masters[0]?.call('addTasks', Array<NewTask>(2 * LIMIT + 1).fill(limited))) ?? []
      await eventually('both are full', () => masters.every(master => heldIds(master).length === LIMIT))
      const waiting = await database.tasks.find({ state: 'waiting' }).toArray()
      test.equal(waiting.length, 1)
      test.isTrue(ids.includes(waiting[0]?._id ?? ''))
      test.equal(waiting[0]?.attempts ?? 0, 0)
    } finally {
      await Promise.all(masters.map(master => master.stop()))
    }
  })
})

Tinytest.addAsync(
  'limits - a task of a limited type that adds another of it lets that run after itself',
  async test => {
    await withMaster({ options: FOUR_SLOTS }, async master => {
      const innermost = { taskType: 'echo', data: {}, _id: 'innermost' }
      const inner = { taskType: 'limitedToOne', data: { does: 'add', add: innermost }, _id: 'inner' }
      await master.run({ taskType: 'limitedToOne', data: { does: 'add', add: inner } })
      test.equal((await master.ending('inner')).value, 'innermost')
      test.equal((await master.ending('innermost')).event, 'done')
    })
  },
)

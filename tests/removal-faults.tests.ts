/** Faults of the first version around tasks that are removed, or wait to run alone, each as a user sees it. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Tinytest } from 'meteor/tinytest'
import { cancelledEvents, QUEUES, runsOf } from './support/queues'
import { type RemoteMaster, withMaster } from './support/remote-master'
import { ticks } from './support/ticks'
import { eventually } from './support/wait'

const PATIENT = { abortGrace: 600_000, keepAlive: 'always', maxAvailableWorkers: 2 } as const

async function remove(master: RemoteMaster, _id: string, inMemory: boolean): Promise<void> {
  if (inMemory) assert.equal((await master.call('removeById', _id))?._id, _id)
  else assert.equal(await master.call('remove', _id), 1)
}

/** A file whose presence ends a `blockUntil` job. */
async function withFile(test: (file: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'cluster-test-'))
  try {
    await test(path.join(folder, 'end'))
  } finally {
    await rm(folder, { recursive: true })
  }
}

// Row 6: removing a task whose job runs.

for (const { kind, inMemory } of QUEUES) {
  for (const [taskType, how] of [
    ['hold', 'succeeds'],
    ['holdThenFail', 'fails'],
  ] as const) {
    Tinytest.addAsync(
      `faults - ${kind}: a task that is removed and added again is another one, which its former job that ${how} leaves alone`,
      async () => {
        await withFile(async file => {
          await withMaster({ options: PATIENT }, async master => {
            const _id = await master.addTask({ taskType, data: {}, inMemory, _id: 'again', retries: 3, backoff: 0 })
            await master.held(_id)
            await master.call('replace', { taskType: 'blockUntil', data: { file }, inMemory, _id })
            await master.written(/blockUntil:again\tstarted/)
            await master.call('release', _id)
            // The other worker is blocked: this one comes after the outcome of the former job.
            await master.resultOf({ taskType: 'echo', data: {}, inMemory })
            const running = await master.find(_id, inMemory)
            assert.deepEqual([running?.taskType, running?.state, running?.error], ['blockUntil', 'running', undefined])
            await writeFile(file, '')
            await master.notice('done', ({ task }) => task.taskType === 'blockUntil')
            assert.equal(await master.find(_id, inMemory), undefined)
            const endings = master.endings.filter(({ task }) => task.taskType === 'blockUntil')
            assert.deepEqual([endings.length, runsOf(master, _id)], [1, 1])
            assert.equal(master.notices('retry').length, 0)
          })
        })
      },
    )
  }

  Tinytest.addAsync(
    `faults - ${kind}: a task that is removed after its cancel stays removed when its job ends`,
    async () => {
      await withMaster({ options: PATIENT }, async master => {
        const _id = await master.addTask({ taskType: 'outliveAbort', data: {}, inMemory })
        await master.held(_id)
        assert.equal(await master.call('cancel', _id), true)
        await master.written(new RegExp(`${_id} was aborted: TaskCancelledError`))
        await remove(master, _id, inMemory)
        for (const method of ['cancel', 'retry'] as const) assert.equal(await master.call(method, _id), false)
        await master.call('release', _id)
        for (let count = 0; count < 2; count++) await master.resultOf({ taskType: 'echo', data: {}, inMemory })
        await ticks(master.database)
        assert.equal(await master.find(_id, inMemory), undefined)
        assert.ok(cancelledEvents(master, _id) <= 1)
        const again = await master.addTask({ taskType: 'echo', data: { again: true }, inMemory, _id })
        assert.deepEqual((await master.ending(again)).value, { again: true })
      })
    },
  )
}

for (const [how, isAdded] of [
  ['removed', false],
  ['removed and added again', true],
] as const) {
  Tinytest.addAsync(
    `faults - persistent: the job of a task that is ${how} is aborted at the next renewal`,
    async () => {
      await withMaster({ options: { ...PATIENT, leaseDuration: 1500 } }, async master => {
        const _id = await master.addTask({ taskType: 'holdUntilAborted', data: {} })
        await master.held(_id)
        if (isAdded) await master.call('replace', { taskType: 'echo', data: { again: true }, _id })
        else await remove(master, _id, false)
        await master.written(new RegExp(`${_id} was aborted: `))
        // Its worker, the only one, is free again.
        await master.resultOf({ taskType: 'echo', data: {} })
        if (isAdded) await master.notice('done', ({ task }) => task.taskType === 'echo')
        assert.equal(await master.find(_id, false), undefined)
        assert.equal(master.notices('retry').length, 0)
      })
    },
  )
}

// Row 7: cancelling or removing a task that waits to run alone.

/** Two jobs, one on each of two workers, which may still boot. */
async function oneOnEachWorker(master: RemoteMaster, inMemory: boolean): Promise<string[]> {
  const hold = { taskType: 'hold', data: {}, inMemory }
  for (;;) {
    const ids = await master.call('addTasks', [hold, hold])
    const pids = await Promise.all(ids.map(_id => master.held(_id)))
    if (new Set(pids).size === 2) return ids
    for (const _id of ids) await master.call('release', _id)
    for (const _id of ids) await master.ending(_id)
  }
}

/**
 * A worker has died with two jobs. One of them runs alone now. @returns that one, and the one that waits for it to end
 */
async function oneAlone(
  master: RemoteMaster,
  inMemory: boolean,
): Promise<{ busy: string; alone: string; next: string }> {
  const ids = [
    ...(await oneOnEachWorker(master, inMemory)),
    await master.addTask({ taskType: 'hold', data: {}, inMemory }),
  ]
  const pids = await Promise.all(ids.map(_id => master.held(_id)))
  const isShared = (pid: number) => pids.filter(other => other === pid).length === 2
  const shared = ids.filter((_id, index) => isShared(pids[index] ?? -1))
  const crowded = pids.find(isShared)
  // Without one, -1 would stand for every process of the machine.
  assert.ok(crowded !== undefined && crowded > 0, 'a worker runs two of them')
  process.kill(crowded, 'SIGKILL')
  const alone = await Promise.race(shared.map(async _id => (await master.held(_id, 2), _id)))
  const next = shared.find(_id => _id !== alone) ?? ''
  await eventually('the next one is claimed', async () => (await master.find(next, inMemory))?.state === 'running')
  return { busy: ids.find(_id => !shared.includes(_id)) ?? '', alone, next }
}

for (const [how, inMemory, act] of [
  ['cancelled', false, undefined],
  ['cancelled', true, undefined],
  ['removed', true, remove],
] as const) {
  const kind = inMemory ? 'in-memory' : 'persistent'
  Tinytest.addAsync(`faults - ${kind}: a task that is ${how} while it waits to run alone does not run`, async () => {
    await withMaster({ options: { ...PATIENT, workerConcurrency: 3 } }, async master => {
      const { busy, alone, next } = await oneAlone(master, inMemory)
      if (act === undefined) assert.equal(await master.call('cancel', next), true)
      else await act(master, next, inMemory)
      for (const _id of [alone, busy]) {
        await master.call('release', _id)
        assert.equal((await master.ending(_id)).event, 'done')
      }
      // Were it to run, it would come first.
      for (let count = 0; count < 5; count++) await master.resultOf({ taskType: 'echo', data: {}, inMemory })
      assert.equal(runsOf(master, next), 1)
      assert.equal(cancelledEvents(master, next), how === 'cancelled' ? 1 : 0)
      const left = await master.find(next, inMemory)
      assert.equal(left?.state, how === 'cancelled' ? 'cancelled' : undefined)
    })
  })
}

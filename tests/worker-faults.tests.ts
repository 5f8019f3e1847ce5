/** Faults of the first version around workers and what they run, each as a user sees it. */
import assert from 'node:assert/strict'
import type { NewTask } from 'meteor/nschwarz:cluster'
import { Tinytest } from 'meteor/tinytest'
import { type RemoteMaster, withMaster } from './support/remote-master'

const MEGABYTE = 2 ** 20

const ONE_WORKER = { maxAvailableWorkers: 1, keepAlive: 'always', refreshRate: 3_600_000 } as const

function echoes(count: number): NewTask[] {
  return Array<NewTask>(count).fill({ taskType: 'echo', data: {} })
}

/** Until it is known that jobs are short, none is sent ahead. */
async function warmUp(master: RemoteMaster): Promise<void> {
  for (const _id of await master.call('addTasks', echoes(200))) await master.ending(_id)
}

/** Adds a job with a result of megabytes and one that comes right behind it, with others before. */
async function addBehindLarge(master: RemoteMaster, large: Partial<NewTask>, behind: NewTask): Promise<string[]> {
  const largeResult = { taskType: 'text', data: { bytes: 8 * MEGABYTE }, ...large }
  return (await master.call('addTasks', [...echoes(10), largeResult, behind])).slice(-2)
}

// Row 1: the outcome of a job has left its worker before the next function is called.

Tinytest.addAsync('faults - a job with a large result is done, though the next one kills its worker', async () => {
  await withMaster({ options: { ...ONE_WORKER, maxCrashes: 1 } }, async master => {
    await warmUp(master)
    const [large = '', killer = ''] = await addBehindLarge(master, {}, { taskType: 'die', data: {} })
    const [done, failed] = [await master.ending(large), await master.ending(killer)]
    assert.deepEqual([done.event, done.task.attempts, done.task.crashes], ['done', 1, undefined])
    assert.equal((done.value as string).length, 8 * MEGABYTE)
    assert.deepEqual([(failed.value as Error).name, failed.task.crashes], ['WorkerCrashError', 1])
  })
})

Tinytest.addAsync('faults - a job with a large result does not time out while the next one blocks', async () => {
  await withMaster({ options: { ...ONE_WORKER, abortGrace: 500 } }, async master => {
    await warmUp(master)
    const block = { taskType: 'block', data: { milliseconds: 4000 } }
    const [large = '', behind = ''] = await addBehindLarge(master, { timeout: 2000 }, block)
    for (const _id of [large, behind]) {
      const { event, task } = await master.ending(_id)
      assert.deepEqual([event, task.attempts], ['done', 1])
    }
  })
})

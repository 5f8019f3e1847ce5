import { randomUUID } from 'node:crypto'
import type { Collection } from 'mongodb'
import { TASK_ORDER } from '../../../common/order'
import { inBatches } from '../../batches'
import { now } from '../../clock'
import type { Drain, Drained } from '../../protocol'

export interface FloorTask {
  readonly _id: string
  readonly state: string
  readonly taskType: string
  readonly priority: number
  readonly dueDate: Date
  readonly createdAt: Date
  readonly sequence: number
  readonly data: object
}

export const TASK_INDEX = { state: 1, taskType: 1, ...TASK_ORDER } as const
export const DUE = { state: 'waiting', taskType: 'noop' } as const
export const CLAIM = { $set: { state: 'running' } } as const

const BATCH = 500
/** One batch is claimed while the previous one is deleted. */
const IN_FLIGHT = 2
const INSERTED_AT_ONCE = 1000

export function makeTask(sequence: number, data: object = {}): FloorTask {
  const date = new Date()
  const _id = randomUUID()
  return { _id, state: 'waiting', taskType: 'noop', priority: 1, dueDate: date, createdAt: date, sequence, data }
}

export async function fill(
  tasks: Collection<FloorTask>,
  count: number,
  size: number = INSERTED_AT_ONCE,
): Promise<void> {
  await inBatches(count, size, (length, before) =>
    tasks.insertMany(Array.from({ length }, (_, index) => makeTask(before + index))),
  )
}

/** Claims one batch after another, each by a find and an update, and deletes it while the next is claimed. */
export function batchedClaims(tasks: Collection<FloorTask>): (request: Drain) => Promise<Drained> {
  return async ({ count, limit }) => {
    await fill(tasks, count)
    const startedAt = now()
    let jobs = 0
    let lastClaim: Promise<unknown> = Promise.resolve()
    const runBatches = async () => {
      while (now() - startedAt < limit) {
        const claiming = lastClaim.then(() => claimBatch(tasks))
        lastClaim = claiming
        const ids = await claiming
        if (ids.length === 0) return
        jobs += (await tasks.deleteMany({ _id: { $in: ids } })).deletedCount
      }
    }
    await Promise.all(Array.from({ length: IN_FLIGHT }, runBatches))
    const ms = now() - startedAt
    await tasks.deleteMany({})
    return { jobs, ms }
  }
}

async function claimBatch(tasks: Collection<FloorTask>): Promise<string[]> {
  const found = await tasks.find(DUE, { sort: TASK_ORDER, limit: BATCH, batchSize: BATCH + 1 }).toArray()
  const ids = found.map(({ _id }) => _id)
  if (ids.length > 0) await tasks.updateMany({ _id: { $in: ids }, state: 'waiting' }, CLAIM, { hint: { _id: 1 } })
  return ids
}

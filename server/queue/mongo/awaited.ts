/** Tasks of the persistent queue for whose end a process waits. */
import { type Awaited, type Ending, type Incarnation, incarnationOf, isSame } from '../../../common/ending'
import { type WireError, errorFromWire } from '../../../common/pipe/wire'
import { cancelled, errorOf, removed } from '../results/ending'
import { revive } from '../../revive'
import { isWatched } from '../retention'
import { findOneAndUpdate } from './documents/driver'
import {
  AS_IN_MEMORY,
  COMMITTED,
  DURABLE,
  HAS_NOT_ENDED,
  HAS_UNKNOWN_STATE,
  type RawCollection,
  type StoredTask,
  inOneReply,
  isKnownState,
} from './documents/schema'
import { ADOPT } from './documents/updates'

/** The holder of the claim keeps the task when it has ended, and says so to the change streams. */
const MARK = [{ $set: { awaited: { $ifNull: ['$awaited', 'result'] } } }]

const FIELDS = {
  taskType: 1,
  createdAt: 1,
  sequence: 1,
  state: 1,
  result: 1,
  failure: 1,
  error: 1,
  awaited: 1,
  audience: 1,
  idHeldUntil: 1,
  isBare: 1,
} as const
const READ = { projection: FIELDS, ...AS_IN_MEMORY }

/** Has the end of the task kept, for somebody who waits. @returns undefined when there is no such task */
export async function markAwaited(tasks: RawCollection, _id: string): Promise<Awaited | undefined> {
  const mark = () => findOneAndUpdate(tasks, { _id, ...HAS_NOT_ENDED }, MARK, READ)
  let found = await mark()
  if (found !== null && !isKnownState(found.state)) {
    // A document of 2.x becomes a task, since that gives it the `createdAt` by which a waiter knows it.
    await tasks.updateOne({ _id, ...HAS_UNKNOWN_STATE, onGoing: { $ne: true } }, ADOPT, DURABLE)
    found = await mark()
  }
  if (found !== null) return awaitedOf(found)
  const ended = await tasks.findOne({ _id }, { ...READ, ...COMMITTED })
  // It has been retried since.
  if (ended !== null && endingOf(ended) === undefined) return markAwaited(tasks, _id)
  return ended === null ? undefined : awaitedOf(ended)
}

function awaitedOf(task: StoredTask): Awaited {
  return { ...incarnationOf(task), taskType: task.taskType, ending: endingOf(task) }
}

/** @returns how these tasks ended, in their order; undefined for those that have not */
export async function endingsOf(
  tasks: RawCollection,
  awaited: readonly Incarnation[],
): Promise<(Ending | undefined)[]> {
  const filter = { _id: { $in: [...new Set(awaited.map(({ _id }) => _id))] } }
  const found = await tasks.find(filter, { ...READ, ...COMMITTED, ...inOneReply(awaited.length) }).toArray()
  const byId = new Map(found.map(task => [task._id, task]))
  return awaited.map(task => {
    const stored = byId.get(task._id)
    return stored === undefined || !isSame(incarnationOf(stored), task) ? removed(task._id) : endingOf(stored)
  })
}

function endingOf(task: StoredTask): Ending | undefined {
  const { _id, error, failure, idHeldUntil, isBare, result, state } = task
  if (state === 'cancelled') return cancelled()
  if (failure !== undefined && (state === 'done' || state === 'failed')) return failedWith(parsed(failure))
  if (state === 'failed') return failedWith(errorOf(error))
  if (state !== 'done') return undefined
  // One that is kept for its former holder only has no result.
  if (isBare === true) return removed(_id)
  return !isWatched(task) && idHeldUntil === undefined ? removed(_id) : { kind: 'done', value: result }
}

function failedWith(error: Error): Ending {
  return { kind: 'failed', error: revive(error) }
}

/** Written by this package; but the collection is open to all code. */
function parsed(failure: string): Error {
  return errorFromWire(JSON.parse(failure) as WireError)
}

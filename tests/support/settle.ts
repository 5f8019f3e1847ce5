import { type NewTask, type TaskFailure, createTask } from '../../common/task'
import type { WireError } from '../../common/pipe/wire'
import { waiters } from '../../server/queue/instances'
import type {
  Claim,
  ClaimStore,
  Counts,
  Done,
  Release,
  Rooms,
  SettleRequest,
  Settlement,
  Verdict,
} from '../../server/queue/claim'
import { MemoryQueue } from '../../server/queue/memory/memory-queue'
import { Retention } from '../../server/queue/retention'

/** Either queue. */
type Store = Pick<ClaimStore, 'settleOne'> | Pick<MemoryQueue, 'settle'>

/** As a task that is not kept has it. */
export const DONE: Done = { kind: 'done', value: { value: undefined }, keepDone: undefined, kept: undefined }

export const WIRE: WireError = {
  name: 'Error',
  message: '$broken',
  stack: undefined,
  fields: {},
  cause: undefined,
  errors: undefined,
}

/** Failed and cancelled tasks are kept for good. */
export const RETENTION = new Retention()

export { waiters }

/** Nobody hears of what becomes of tasks. */
export const SILENT = { taskRefused: () => undefined, emitCancelled: () => undefined, emitPoisoned: () => undefined }

/** Nothing limits how many tasks are claimed. */
export const UNLIMITED: Rooms = { roomOf: () => Infinity }

/** A request of a master whose lease is far from over. */
export function requestFor(claim: Claim, settlement: Settlement): SettleRequest {
  return { claim, settlement, report: {}, leaseEndsAt: () => Infinity }
}

export async function settle(store: Store, claim: Claim, settlement: Settlement): Promise<Verdict> {
  const request = requestFor(claim, settlement)
  return 'settle' in store ? store.settle(request) : store.settleOne(request)
}

/** @returns whether the claim still held its task */
export async function complete(store: Store, claim: Claim): Promise<boolean> {
  return (await settle(store, claim, DONE)) === 'settled'
}

export async function fail(store: Store, claim: Claim, error: TaskFailure, counts: Counts = {}): Promise<boolean> {
  return (await settle(store, claim, { kind: 'failed', error, wire: WIRE, counts })) === 'settled'
}

export async function release(store: Store, claim: Claim, change: Release): Promise<boolean> {
  return (await settle(store, claim, { kind: 'released', ...change })) === 'settled'
}

/** A queue in memory that has claimed a task. */
export function claimedInMemory(given: Partial<NewTask>): { queue: MemoryQueue; claim: Claim } {
  const queue = new MemoryQueue('queue', RETENTION)
  queue.open(() => undefined, UNLIMITED)
  queue.add([createTask({ taskType: 'TEST', data: { list: [1] }, _id: 'kept', ...given })])
  const claim = queue.claim()
  if (claim === undefined) throw new Error('nothing to claim')
  return { queue, claim }
}

import type { TaskFailure } from '../../common/task'
import type { Claim, ClaimStore, Counts, Release, Settlement, Verdict } from '../../server/queue/claim'
import type { MemoryQueue } from '../../server/queue/memory/memory-queue'

/** Either queue. */
type Store = Pick<ClaimStore, 'settleOne'> | Pick<MemoryQueue, 'settle'>

export async function settle(store: Store, claim: Claim, settlement: Settlement): Promise<Verdict> {
  if ('settle' in store) return store.settle(claim, settlement)
  return store.settleOne({ claim, settlement, leaseEndsAt: Infinity })
}

/** @returns whether the claim still held its task */
export async function complete(store: Store, claim: Claim): Promise<boolean> {
  return (await settle(store, claim, { kind: 'done' })) === 'settled'
}

export async function fail(store: Store, claim: Claim, error: TaskFailure, counts: Counts = {}): Promise<boolean> {
  return (await settle(store, claim, { kind: 'failed', error, counts })) === 'settled'
}

export async function release(store: Store, claim: Claim, change: Release): Promise<boolean> {
  return (await settle(store, claim, { kind: 'released', ...change })) === 'settled'
}

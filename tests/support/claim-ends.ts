import type { TaskFailure } from '../../common/task'
import type { Claim, Counts, Ending, Release } from '../../server/queue/claim'

/** Ends a claim by itself. @returns whether the task was still its own */
export async function end(claim: Claim, ending: Ending): Promise<boolean> {
  return (await claim.store.end([{ claim, ending }])).has(claim)
}

export function complete(claim: Claim): Promise<boolean> {
  return end(claim, { kind: 'completed' })
}

export function fail(claim: Claim, error: TaskFailure, counts: Counts = {}): Promise<boolean> {
  return end(claim, { kind: 'failed', error, counts })
}

export function release(claim: Claim, change: Release): Promise<boolean> {
  return end(claim, { kind: 'released', ...change })
}

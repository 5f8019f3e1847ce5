import { setTimeout as pause } from 'node:timers/promises'
import { messageOf } from '../../common/errors'
import type { Log } from '../../common/log'
import type { TaskFailure } from '../../common/task'
import type { Claim, Counts, Release } from '../queue/claim'
import type { Leases } from './leases'

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5000

/** The end of a claim as a write to its queue. */
export interface Write {
  /** Resolves to false when the task does not carry the claim's token. */
  readonly apply: () => Promise<boolean>
  /** Whether the queue is as `apply` would leave it. */
  readonly isApplied: () => Promise<boolean>
}

/** Writes the ends of claims to their queue: each until it is there, or known to be void. */
export class ClaimWriter {
  readonly #leases: Leases
  readonly #log: Log

  constructor(leases: Leases, log: Log) {
    this.#leases = leases
    this.#log = log
  }

  /** @returns false when the task is no longer this claim's. Never rejects. */
  async write(claim: Claim, write: Write): Promise<boolean> {
    this.#leases.end(claim)
    const isValid = await this.writeUntilTaken(claim, write)
    this.#leases.forget(claim)
    return isValid
  }

  /** A write that failed may have been made all the same, only its acknowledgement was lost: that is looked up, not guessed. */
  private async writeUntilTaken(claim: Claim, { apply, isApplied }: Write): Promise<boolean> {
    let isUnsure = false
    for (let wait = FIRST_PAUSE_MS; ; wait = Math.min(2 * wait, LONGEST_PAUSE_MS)) {
      try {
        return (await apply()) || (isUnsure && (await isApplied()))
      } catch (error) {
        isUnsure = true
        this.#log.taskError(claim.task, `cannot be stored, trying again in ${String(wait)} ms: ${messageOf(error)}`)
        await pause(wait)
      }
    }
  }
}

export function completion(claim: Claim): Write {
  return { apply: () => claim.store.complete(claim), isApplied: () => claim.store.isCompleted(claim) }
}

export function failing(claim: Claim, failure: TaskFailure, counts: Counts): Write {
  return {
    apply: () => claim.store.fail(claim, failure, counts),
    isApplied: () => claim.store.isRecorded(claim, failure),
  }
}

/** @param delay milliseconds until the next attempt */
export function retrying(claim: Claim, failure: TaskFailure, counts: Counts, delay: number): Write {
  return {
    apply: () => claim.store.retry(claim, failure, counts, delay),
    isApplied: () => claim.store.isRecorded(claim, failure),
  }
}

export function releasing(claim: Claim, change: Release): Write {
  // Without the token the task is somebody else's to run, which is what giving it back is for.
  return { apply: () => claim.store.release(claim, change), isApplied: () => Promise.resolve(true) }
}

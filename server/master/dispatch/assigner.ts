import { UnsendableValueError } from '../../../common/errors'
import { type Definitions, timeoutOf } from '../../../common/task-map'
import type { Limits } from '../../pool/workers/job'
import type { Pool } from '../../pool/pool'
import type { Ahead } from '../../pool/prefetch'
import type { Worker } from '../../pool/workers/worker'
import type { Claim } from '../../queue/claim'
import type { MemoryQueue } from '../../queue/memory/memory-queue'
import type { Claims } from '../claims/claims'
import type { HeldClaim } from '../claims/held-claim'
import type { Outcomes } from '../claims/outcomes'
import type { LocalQueue } from './local-queue'

export interface AssignerParts {
  /** Milliseconds that a job has to finish after its timeout. */
  readonly abortGrace: number
  readonly claims: Claims
  readonly definitions: Definitions
  readonly localQueue: LocalQueue
  readonly memory: MemoryQueue
  readonly outcomes: Outcomes
  readonly pool: Pool
}

/**
 * Assigns claims to workers: what a job waits for first, then in-memory tasks, whatever their priority, then the others
 * of the local queue. Assigning is synchronous: nothing happens between choosing a worker and sending it the job.
 */
export class Assigner {
  readonly #parts: AssignerParts

  constructor(parts: AssignerParts) {
    this.#parts = parts
  }

  /** Fills the slots that are free, and prefetches short jobs. */
  assign(): void {
    const { localQueue, pool } = this.#parts
    const { scheduler } = pool
    localQueue.sendSuspects(held => this.sendAlone(held))
    if (localQueue.suspects === 0) scheduler.releaseReserved()
    let free = scheduler.nextFree()
    while (free !== undefined && this.sendNextTo(free) !== undefined) free = scheduler.nextFree()
    for (const { worker, ahead } of scheduler.workersToRefill()) this.sendAhead(worker, ahead)
  }

  private sendAhead(worker: Worker, ahead: Ahead): void {
    // Another job may have reserved the worker meanwhile.
    while (!ahead.isFull && this.#parts.pool.scheduler.isOpen(worker)) {
      const held = this.sendNextTo(worker)
      if (held === undefined) return
      ahead.add({ claim: held.claim, runningFor: 0 })
    }
  }

  /** @returns the claim that was sent, set aside or settled; undefined when there was none */
  private sendNextTo(worker: Worker): HeldClaim | undefined {
    const { localQueue, pool } = this.#parts
    const held = localQueue.nextChild() ?? this.nextInMemory() ?? localQueue.next()
    if (held === undefined) return undefined
    if (held.claim.task.isSuspect === true) {
      if (!this.sendAlone(held)) localQueue.setAside(held)
    } else {
      this.send(held, (claim, limits) => {
        pool.run(worker, claim, limits)
        return true
      })
    }
    return held
  }

  private nextInMemory(): HeldClaim | undefined {
    const claim = this.#parts.memory.claim()
    return claim && this.#parts.claims.hold(claim)
  }

  /** @returns false when no worker is free for it yet */
  private sendAlone(held: HeldClaim): boolean {
    return this.send(held, (claim, limits) => this.#parts.pool.runAlone(claim, limits))
  }

  /**
   * @param run sends the job; returns false if no worker can have it yet
   * @returns whether the claim was sent or settled
   */
  private send(held: HeldClaim, run: (claim: Claim, limits: Limits) => boolean): boolean {
    const { claims, localQueue, outcomes } = this.#parts
    const { claim } = held
    // Invariant 2: no job starts once its claim may belong to another master.
    if (!claims.isValid(held)) {
      localQueue.release(held, 'its lease ran out before its job could start')
      return true
    }
    try {
      if (!run(claim, this.limitsOf(held))) return false
    } catch (error) {
      outcomes.failUnstarted(held, new UnsendableValueError('the data of the task', error))
      return true
    }
    held.moveTo('sent')
    return true
  }

  private limitsOf({ claim, lease }: HeldClaim): Limits {
    const { abortGrace, definitions } = this.#parts
    return { startBefore: lease?.endsAt, timeout: timeoutOf(claim.task, definitions), grace: abortGrace }
  }
}

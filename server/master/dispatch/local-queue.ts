import { UnsendableValueError } from '../../../common/errors'
import { type Task, faultOf } from '../../../common/task'
import { type Definitions, policyOf } from '../../../common/task-map'
import type { Limits } from '../../pool/job'
import type { Pool } from '../../pool/pool'
import type { Ahead } from '../../pool/prefetch'
import type { Worker } from '../../pool/worker'
import type { Claim, Counts } from '../../queue/claim'
import type { MemoryQueue } from '../../queue/memory/memory-queue'
import { sizeOf } from '../../queue/mongo/add'
import type { Claims } from '../claims/claims'
import type { HeldClaim } from '../claims/held-claim'
import type { Settler } from '../claims/settler'
import { ClaimBuffer } from './claim-buffer'

/** No claim is larger: it would only take longer, and hold up those of others. */
const LARGEST_CLAIM = 500

/** Twice what is buffered is meant to last. */
const STALE_AFTER_MS = 1000

const NOT_STARTED = { hasStarted: false }

export interface LocalQueueParts {
  readonly definitions: Definitions
  readonly memory: MemoryQueue
  readonly pool: Pool
  readonly claims: Claims
  readonly settler: Settler
  /** Milliseconds that a job has to end after its timeout. */
  readonly abortGrace: number
}

/**
 * The claims between the queue and the workers: those that were fetched and not sent yet. It assigns them to workers,
 * in-memory tasks first. Assigning is synchronous: nothing comes between the choice of a worker and the job for it.
 */
export class LocalQueue {
  readonly #parts: LocalQueueParts
  readonly #buffer = new ClaimBuffer()
  /** Claims that are to run alone, until a worker has no other job. */
  #suspects: HeldClaim[] = []
  #isOpen = false
  /** When a worker last had room for a buffered claim, or the buffer was empty; on performance.now. */
  #movedAt = 0
  /** New tasks on their way to the queue, for workers that are idle. */
  #adding = 0

  constructor(parts: LocalQueueParts) {
    this.#parts = parts
  }

  /** How many claims no worker has yet. */
  get size(): number {
    return this.#buffer.size + this.#suspects.length
  }

  /**
   * How many more tasks should be claimed: none while there are enough for a while.
   *
   * @param isBacklog whether there are more than can start at once; without one, what is claimed ahead would only be
   * kept from others
   * @param isUrgent whether some come before those that are here: then at least what the workers run at once
   */
  wanted(isBacklog: boolean, isUrgent: boolean): number {
    const { scheduler } = this.#parts.pool
    const missing = Math.max(scheduler.idleSlots - this.size, isBacklog ? this.missingAhead : 0)
    return Math.min(LARGEST_CLAIM, Math.max(missing, isUrgent ? scheduler.readySlots : 0))
  }

  /** Whether a worker could run another job at once, and nothing waits that comes before it. */
  get isIdle(): boolean {
    const { memory, pool } = this.#parts
    return this.#isOpen && this.size === 0 && memory.countDue(1) === 0 && pool.scheduler.idleSlots > this.#adding
  }

  /** Stores a new task already claimed, and has it run. @throws DuplicateTaskError (rejects) */
  async addClaimed(task: Task): Promise<void> {
    this.#adding++
    try {
      this.take(await this.#parts.claims.addClaimed(task))
    } finally {
      this.#adding--
    }
  }

  /** Whether a task of this priority may come before one that is buffered. */
  wouldOvertake(priority: number): boolean {
    return this.#buffer.wouldOvertake(priority)
  }

  open(): void {
    this.#isOpen = true
  }

  /** Releases the claims that no worker has. */
  close(): void {
    this.#isOpen = false
    for (const held of [...this.#suspects.splice(0), ...this.#buffer.clear()]) this.release(held)
  }

  /** Takes these claims, and assigns as many as workers have room for. */
  take(helds: readonly HeldClaim[]): void {
    for (const held of helds) {
      // It may have been cancelled or lost since it was fetched.
      if (held.place === 'buffered') this.bufferUnlessUnfit(held)
    }
    this.assign()
  }

  /** A job that was sent was not started. @param reason for the log, if any */
  jobReturned(held: HeldClaim, reason?: string): void {
    if (held.validity === 'void' || held.isCancelRequested) this.withdraw(held)
    else if (reason !== undefined || held.claim.inMemory) this.release(held, reason)
    else {
      held.moveTo('buffered')
      this.buffer(held)
    }
  }

  /** Drops a buffered claim that is void, or whose task is to be cancelled. */
  drop(held: HeldClaim): void {
    this.#buffer.remove(held)
    this.#suspects = this.#suspects.filter(other => other !== held)
    this.withdraw(held)
  }

  /** Workers are busy for longer than it seemed: what they do not come to is for whoever is free. */
  releaseStale(): void {
    const waited = performance.now() - this.#movedAt
    if (this.#buffer.size === 0 || waited < STALE_AFTER_MS) return
    this.#parts.pool.scheduler.slowedDown(waited)
    for (const held of this.#buffer.clear()) this.release(held)
  }

  /** Releases what was overtaken by so many urgent tasks that other masters may come to it first. */
  releaseSurplus(): void {
    const { enough } = this.#parts.pool.scheduler
    if (this.#buffer.size <= 2 * enough) return
    for (const held of this.#buffer.clearAfter(enough)) this.release(held)
  }

  /** In-memory tasks go first, whatever their priority. */
  assign(): void {
    if (!this.#isOpen) return
    const { scheduler } = this.#parts.pool
    this.#suspects = this.#suspects.filter(held => !this.sendAlone(held))
    let free = scheduler.nextFree()
    while (free !== undefined && this.sendNextTo(free) !== undefined) free = scheduler.nextFree()
    for (const { worker, ahead } of scheduler.hungry()) this.sendAhead(worker, ahead)
    if (this.#suspects.length === 0) scheduler.releaseReserved()
  }

  /** How many claims to fetch to refill the buffer; 0 while it is more than half full. */
  private get missingAhead(): number {
    const { memory, pool } = this.#parts
    const { size } = this
    // In-memory tasks go first: what is claimed would wait for them.
    const target = memory.countDue(1) > 0 ? 0 : pool.scheduler.inHand
    return size > target / 2 ? 0 : target - size
  }

  private sendAhead(worker: Worker, ahead: Ahead): void {
    while (!ahead.isFull) {
      const held = this.sendNextTo(worker)
      if (held === undefined) return
      ahead.add({ claim: held.claim, runningFor: 0 })
    }
  }

  /** @returns the claim that was sent, or settled instead; undefined when there was none */
  private sendNextTo(worker: Worker): HeldClaim | undefined {
    const held = this.nextInMemory() ?? this.shift()
    if (held === undefined) return undefined
    if (held.claim.task.isSuspect !== true)
      this.send(held, (claim, limits) => this.#parts.pool.run(worker, claim, limits))
    else if (!this.sendAlone(held)) this.#suspects.push(held)
    return held
  }

  /** @returns whether nothing more is to be done about this claim here */
  private sendAlone(held: HeldClaim): boolean {
    return this.send(held, (claim, limits) => this.#parts.pool.runAlone(claim, limits))
  }

  private nextInMemory(): HeldClaim | undefined {
    const claim = this.#parts.memory.claim()
    return claim && this.#parts.claims.hold(claim)
  }

  private shift(): HeldClaim | undefined {
    this.#movedAt = performance.now()
    return this.#buffer.shift()
  }

  /** What is in memory was checked when it was added; a document somebody else may have written. */
  private bufferUnlessUnfit(held: HeldClaim): void {
    const { task } = held.claim
    const fault = faultOf(task) ?? this.recordSize(task)
    if (held.isCancelRequested) this.withdraw(held)
    else if (fault !== undefined) this.#parts.settler.fail(held, fault, uncounted(task))
    else this.buffer(held)
  }

  private buffer(held: HeldClaim): void {
    if (this.#buffer.size === 0) this.#movedAt = performance.now()
    if (this.#isOpen) this.#buffer.add(held)
    else this.release(held)
  }

  private release(held: HeldClaim, reason?: string): void {
    this.#parts.settler.release(held, NOT_STARTED, reason)
  }

  /** The job will not start: its task is to be cancelled, or is another's by now. */
  private withdraw(held: HeldClaim): void {
    this.#parts.settler.withdraw(held)
  }

  /** @returns what is wrong with a document that the driver can read, but not write */
  private recordSize(task: Task): Error | undefined {
    try {
      this.#parts.pool.scheduler.recordSize(sizeOf(task))
      return undefined
    } catch (error) {
      return new UnsendableValueError('the data of the task', error)
    }
  }

  /**
   * @param run sends the job. @returns false when no worker can have it yet
   * @returns whether nothing more is to be done about this claim here
   */
  private send(held: HeldClaim, run: (claim: Claim, limits: Limits) => boolean): boolean {
    const { claims, settler } = this.#parts
    const { claim } = held
    if (!claims.isValid(held)) {
      this.release(held, 'its lease ran out before its job could start')
      return true
    }
    try {
      if (!run(claim, this.limitsOf(held))) return false
      held.moveTo('sent')
    } catch (error) {
      settler.fail(held, new UnsendableValueError('the data of the task', error), uncounted(claim.task))
    }
    return true
  }

  private limitsOf({ claim, lease }: HeldClaim): Limits {
    const { abortGrace, definitions } = this.#parts
    const { timeout } = policyOf(claim.task, definitions)
    return { startBefore: lease?.endsAt, timeout, grace: abortGrace }
  }
}

/** The claim counted an attempt, but the task's function is not called. */
function uncounted({ attempts = 1 }: Task): Counts {
  return { attempts: attempts - 1 }
}

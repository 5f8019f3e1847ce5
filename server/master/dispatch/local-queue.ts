import { UnsendableValueError } from '../../../common/errors'
import { type Task, faultOf } from '../../../common/task'
import { type Definitions, policyOf } from '../../../common/task-map'
import type { Claim, Counts } from '../../queue/claim'
import type { MemoryQueue } from '../../queue/memory/memory-queue'
import { JobsInHand } from './claim-buffer'
import type { Leases } from '../claims/claims'
import type { Losses } from '../claims/losses'
import type { Pool } from '../../pool/pool'
import type { Limits } from '../../pool/job'
import type { Settlement } from '../claims/settler'

/** No claim is larger: it would only take longer, and hold up those of others. */
const LARGEST_CLAIM = 500

/** Twice what is in hand is meant to last. */
const STALE_AFTER_MS = 1000

const NOT_STARTED = { hasStarted: false }

export interface FeederParts {
  readonly definitions: Definitions
  readonly memory: MemoryQueue
  readonly pool: Pool
  readonly leases: Leases
  readonly losses: Losses
  readonly settlement: Settlement
  /** Milliseconds that a job has to end after its timeout. */
  readonly abortGrace: number
}

/** Keeps workers busy with what is in memory and in hand. Feeding is synchronous: nothing comes between a look at a worker and a job for it. */
export class Feeder {
  readonly #parts: FeederParts
  readonly #inHand = new JobsInHand()
  /** Those that are to run alone, until a worker has no other job. */
  #suspects: Claim[] = []
  #isOpen = false
  /** When a worker last had room for what is in hand, or it came; on performance.now. */
  #movedAt = 0
  /** How many new tasks are on their way to the queue, for workers that are idle. */
  #coming = 0

  constructor(parts: FeederParts) {
    this.#parts = parts
  }

  /** How many claimed tasks no worker has yet. */
  get size(): number {
    return this.#inHand.size + this.#suspects.length
  }

  /**
   * How many more tasks should be claimed: none while there are enough for a while.
   *
   * @param isBacklog whether there are more than can start at once; without one, what is claimed ahead would only be kept from others
   * @param overtaking how many come before some of those that are here
   */
  wanted(isBacklog: boolean, overtaking: number): number {
    const missing = isBacklog ? this.missingAhead : this.#parts.pool.assignment.idleSlots - this.#inHand.size
    return Math.min(LARGEST_CLAIM, Math.max(Math.min(overtaking, this.#parts.pool.assignment.enough), missing))
  }

  /** Whether a worker could run another job at once, which none that is here would come before. */
  get isIdle(): boolean {
    const { memory, pool } = this.#parts
    return this.#isOpen && this.size === 0 && memory.countDue(1) === 0 && pool.assignment.idleSlots > this.#coming
  }

  /** Stores a new task as a claim of this master, and has it run. @returns false when its `_id` is taken */
  async insert(task: Task): Promise<boolean> {
    this.#coming++
    try {
      const claims = await this.#parts.leases.insert(task)
      this.take(claims)
      return claims.length > 0
    } finally {
      this.#coming--
    }
  }

  /** Whether a task of this priority may come before one that was claimed and has not started. */
  wouldOvertake(priority: number): boolean {
    const { assignment } = this.#parts.pool
    if (this.#inHand.wouldOvertake(priority)) return true
    const isBehind = ({ store, task }: Claim) => store.hasLeases && task.priority < priority
    return assignment.areJobsLong && assignment.waitsAhead(isBehind)
  }

  open(): void {
    this.#isOpen = true
  }

  /** Gives back what no worker has. */
  close(): void {
    this.#isOpen = false
    for (const claim of [...this.#suspects.splice(0), ...this.#inHand.takeAll()]) this.giveBack(claim)
  }

  /** Takes these claims, and gives workers what they have room for. */
  take(claims: readonly Claim[]): void {
    this.#parts.pool.assignment.claimed(claims)
    for (const claim of claims) this.keepUnlessMalformed(claim)
    this.feed()
  }

  /** A job that was sent, and was not started. @param reason for the log, if any */
  returned(claim: Claim, reason?: string): void {
    if (reason !== undefined || !claim.store.hasLeases) this.giveBack(claim, reason)
    else this.keep(claim)
  }

  /** Workers are busy for longer than it seemed: what they do not come to is for whoever is free. */
  giveBackStale(): void {
    const waited = performance.now() - this.#movedAt
    if (this.#inHand.size === 0 || waited < STALE_AFTER_MS) return
    this.#parts.pool.assignment.slowedDown(waited)
    for (const claim of this.#inHand.takeAll()) this.giveBack(claim)
  }

  /** Gives back those that were overtaken by so many that others may come to them first. */
  giveBackSurplus(): void {
    const { enough } = this.#parts.pool.assignment
    if (this.#inHand.size <= 2 * enough) return
    for (const claim of this.#inHand.takeAllBut(enough)) this.giveBack(claim)
  }

  /** In-memory tasks go first, whatever their priority. */
  feed(): void {
    if (!this.#isOpen) return
    const { memory, pool } = this.#parts
    this.#suspects = this.#suspects.filter(claim => !this.send(claim))
    while (pool.assignment.room(this.left) > 0) {
      const claim = memory.claim() ?? this.takeInHand()
      if (claim === undefined) break
      if (!this.send(claim)) this.#suspects.push(claim)
    }
    if (this.#suspects.length === 0) pool.assignment.releaseReserved()
    if (pool.assignment.areJobsLong) this.callBackMisplaced()
  }

  /** By how many there are too few for a while; 0 until half of them are used up. */
  private get missingAhead(): number {
    const { memory, pool } = this.#parts
    const { size } = this.#inHand
    // In-memory tasks go first: what is claimed would wait for them.
    const goal = memory.countDue(1) > 0 ? 0 : pool.assignment.inHand
    return size > goal / 2 ? 0 : goal + pool.assignment.room(Infinity) - size
  }

  /** How many jobs there are to send; counted only where it matters. */
  private get left(): number {
    const { memory, pool } = this.#parts
    return pool.assignment.areJobsLong ? this.#inHand.size + memory.countDue(Infinity) : 0
  }

  /** Jobs that wait in a worker though another is idle, or that are behind what has come since. */
  private callBackMisplaced(): void {
    const { memory, pool } = this.#parts
    const { idleSlots } = pool.assignment
    if (idleSlots > 0) {
      pool.assignment.callBack(() => true, idleSlots)
      return
    }
    const inMemory = memory.highestPriority
    const inHand = this.#inHand.highestPriority
    const isOvertaken = ({ store, task: { priority } }: Claim) =>
      store.hasLeases ? inMemory > -Infinity || inHand > priority : inMemory > priority
    pool.assignment.callBack(isOvertaken, Infinity)
  }

  private takeInHand(): Claim | undefined {
    this.#movedAt = performance.now()
    return this.#inHand.take()
  }

  /** What is in memory was checked when it was added; a document somebody may have written by hand. */
  private keepUnlessMalformed(claim: Claim): void {
    const fault = faultOf(claim.task)
    if (fault === undefined) this.keep(claim)
    else this.#parts.settlement.fail(claim, fault, uncounted(claim.task))
  }

  private keep(claim: Claim): void {
    if (this.#inHand.size === 0) this.#movedAt = performance.now()
    if (this.#isOpen) this.#inHand.add(claim)
    else this.giveBack(claim)
  }

  private giveBack(claim: Claim, reason?: string): void {
    this.#parts.settlement.release(claim, NOT_STARTED, reason)
  }

  /** @returns whether nothing more is to be done about this claim here */
  private send(claim: Claim): boolean {
    const { losses, pool, settlement } = this.#parts
    if (!losses.isValid(claim)) {
      this.giveBack(claim, 'its lease ran out before its job could start')
      return true
    }
    try {
      return claim.task.isSuspect ? pool.runAlone(claim, this.limitsOf(claim)) : pool.run(claim, this.limitsOf(claim))
    } catch (error) {
      settlement.fail(claim, new UnsendableValueError('the data of the task', error), uncounted(claim.task))
      return true
    }
  }

  private limitsOf(claim: Claim): Limits {
    const { abortGrace, definitions, leases } = this.#parts
    const { timeout } = policyOf(claim.task, definitions)
    return { startBefore: leases.expiryOf(claim), timeout, grace: abortGrace }
  }
}

/** The claim counted an attempt, but the task's function is not called. */
function uncounted({ attempts = 1 }: Task): Counts {
  return { attempts: attempts - 1 }
}

import { UnsendableValueError } from '../../../common/errors'
import { compareTasks } from '../../../common/order'
import { type Task, faultOf, isChild } from '../../../common/task'
import type { Pool } from '../../pool/pool'
import type { MemoryQueue } from '../../queue/memory/memory-queue'
import { PriorityQueue } from '../../queue/memory/priority-queue'
import { sizeOf } from '../../queue/mongo/documents/driver'
import type { ChangeFeed } from '../../queue/mongo/feeds/change-feed'
import { BUFFER_STALE_AFTER_MS, MAX_TASKS_PER_CLAIM } from '../../tuning'
import type { Admission } from '../claims/admission'
import type { Claims } from '../claims/claims'
import type { HeldClaim } from '../claims/held-claim'
import type { Outcomes } from '../claims/outcomes'

/**
 * What the local queue fetches:
 *
 * | mode     | entered                                          | it fetches                                      |
 * | -------- | ------------------------------------------------ | ----------------------------------------------- |
 * | closed   | initially; by `close`, which releases all claims | nothing; it releases what is still fetched      |
 * | onDemand | by `open`; when fewer tasks waited than a fetch  | what was announced, for idle slots              |
 * |          | asked for; when nothing was sent for a second    |                                                 |
 * | ahead    | when as many tasks waited as a fetch asked for:  | also what the workers need soon, once half of   |
 * |          | there may be more                                | that is used up                                 |
 */
type Mode = 'closed' | 'onDemand' | 'ahead'

export interface LocalQueueParts {
  readonly admission: Admission
  readonly claims: Claims
  readonly feed: ChangeFeed
  readonly memory: MemoryQueue
  readonly outcomes: Outcomes
  readonly pool: Pool
}

/** Holds the claims that no worker has yet, in the order of their tasks, and decides how many tasks to fetch. */
export class LocalQueue {
  readonly #parts: LocalQueueParts
  #mode: Mode = 'closed'
  readonly #buffer = new PriorityQueue<HeldClaim>((a, b) => compareTasks(a.claim.task, b.claim.task))
  /** A lower bound on the priorities of the buffered tasks. */
  #lowestPriority = Infinity
  /** The claims that must run alone, and wait for a worker that has no other job. */
  #suspects: HeldClaim[] = []
  /** A lower bound on the tasks announced since the last fetch was sent; Infinity if their number is unknown. */
  #announced = Infinity
  /** The highest priority among the announced tasks; Infinity if it is unknown. */
  #highestAnnounced = -Infinity
  /** When a claim was last sent, or added to the empty buffer (performance.now). */
  #movedAt = 0

  constructor(parts: LocalQueueParts) {
    this.#parts = parts
  }

  /** How many claims no worker has yet. */
  get size(): number {
    return this.#buffer.size + this.#suspects.length
  }

  /** How many claims wait for a worker that has no other job. */
  get suspects(): number {
    return this.#suspects.length
  }

  /** Whether no persistent task waits, as far as is known. */
  get isDry(): boolean {
    return this.knownToWait === 0
  }

  /** How many tasks the next fetch should ask for; 0 for no fetch. */
  get wanted(): number {
    if (this.#mode === 'closed') return 0
    const { scheduler } = this.#parts.pool
    // A suspect waits for a worker without other jobs: it takes none of the idle slots.
    const missing = Math.max(scheduler.idleSlots - this.#buffer.size, this.#mode === 'ahead' ? this.missingAhead : 0)
    const wanted = Math.max(missing, this.isOvertaken ? scheduler.readySlots : 0)
    // Never more than were announced: a claim of one task takes one command, a claim of several takes three.
    return Math.min(wanted, MAX_TASKS_PER_CLAIM, this.knownToWait)
  }

  open(): void {
    this.#mode = 'onDemand'
  }

  /** Releases all claims. */
  close(): void {
    // Invariant 4: a clean stop requeues at once what no worker has.
    this.#mode = 'closed'
    for (const held of [...this.#suspects.splice(0), ...this.removeAllBut(0)]) this.release(held)
  }

  /** Reports that a task may be claimed. */
  announce(priority: number): void {
    this.#announced++
    this.noteAnnounced(priority)
  }

  /**
   * Reports that any number of tasks may be claimed.
   *
   * @param areNew whether some began to wait after the last fetch
   */
  announceUnknown(areNew: boolean): void {
    this.#announced = Infinity
    if (areNew) this.noteAnnounced(Infinity)
  }

  /** The database is about to be asked whether tasks wait. Its answer covers what was announced before. */
  resetAnnounced(): void {
    this.#announced = 0
  }

  /**
   * Fetches as many tasks as are wanted.
   *
   * @returns whether there may be more
   * @throws if the database is away (rejects)
   */
  async fetch(): Promise<boolean> {
    const { isOvertaken, wanted } = this
    // This fetch may miss what is announced from now on.
    this.#announced = 0
    this.#highestAnnounced = -Infinity
    const { claims, mayBeMore } = await this.#parts.claims.fetch(wanted).catch((error: unknown) => {
      this.announceUnknown(true)
      throw error
    })
    for (const held of claims) this.accept(held)
    // More tasks may wait that come before those in the buffer.
    if (isOvertaken && mayBeMore) this.noteAnnounced(claims.at(-1)?.claim.task.priority ?? Infinity)
    this.followUp(wanted, mayBeMore)
    if (isOvertaken) this.releaseSurplus()
    return this.#announced > 0
  }

  /** Stores a new task already claimed. @throws DuplicateTaskError (rejects) */
  async addClaimed(task: Task): Promise<void> {
    this.accept(await this.#parts.claims.addClaimed(task))
  }

  /** Buffers a claim that no worker has, or settles it if its job must not start. */
  accept(held: HeldClaim): void {
    // Its task may have been cancelled or lost since it was fetched.
    if (held.place !== 'buffered') return
    const { task } = held.claim
    const fault = faultOf(task) ?? this.recordSize(task)
    if (held.isCancelRequested) this.#parts.outcomes.withdraw(held)
    else if (fault !== undefined) this.#parts.outcomes.failUnstarted(held, fault)
    else this.buffer(held)
  }

  /** Releases the claims whose types are paused. */
  releasePaused(): void {
    for (const held of [...this.#suspects.splice(0), ...this.removeAllBut(0)]) this.buffer(held)
  }

  /**
   * Takes back the claim of a job that its worker returned.
   *
   * @param reason for the log; if there is one, the claim is released
   */
  takeBack(held: HeldClaim, reason?: string): void {
    if (held.validity === 'void' || held.isCancelRequested) this.#parts.outcomes.withdraw(held)
    else if (reason !== undefined || held.claim.inMemory) this.release(held, reason)
    else {
      held.moveTo('buffered')
      this.buffer(held)
    }
  }

  /** Removes the next claim from the queue, and returns it. */
  next(): HeldClaim | undefined {
    this.#movedAt = performance.now()
    const held = this.#buffer.take()
    if (this.#buffer.size === 0) this.#lowestPriority = Infinity
    return held
  }

  /** As `next`, if that is the claim of a task for which a job waits. */
  nextChild(): HeldClaim | undefined {
    const first = this.#buffer.first()
    return first !== undefined && isChild(first.claim.task) ? this.next() : undefined
  }

  /** Keeps a claim that must run alone until a worker is free for it. */
  setAside(held: HeldClaim): void {
    this.#suspects.push(held)
  }

  /** @param send returns whether the claim leaves the queue */
  sendSuspects(send: (held: HeldClaim) => boolean): void {
    this.#suspects = this.#suspects.filter(held => !send(held))
  }

  /** Drops a claim that is void, or whose task is to be cancelled. */
  drop(held: HeldClaim): void {
    this.#buffer.retain(other => other !== held)
    if (this.#buffer.size === 0) this.#lowestPriority = Infinity
    this.#suspects = this.#suspects.filter(other => other !== held)
    this.#parts.outcomes.withdraw(held)
  }

  /** Releases the buffer if nothing was sent for `BUFFER_STALE_AFTER_MS`: the workers are slower than expected. */
  releaseStale(): void {
    const waited = performance.now() - this.#movedAt
    if (this.#mode === 'closed' || this.#buffer.size === 0 || waited < BUFFER_STALE_AFTER_MS) return
    this.#parts.pool.scheduler.slowedDown(waited)
    this.#mode = 'onDemand'
    for (const held of this.removeAllBut(0)) this.release(held)
  }

  /** Releases a claim whose job has not started. @param reason for the log, if any */
  release(held: HeldClaim, reason?: string): void {
    this.#parts.outcomes.release(held, { hasStarted: false }, reason)
  }

  /** How many claims to fetch to refill the buffer; 0 while it is more than half full. */
  private get missingAhead(): number {
    const { memory, pool } = this.#parts
    // In-memory tasks go first, so persistent claims would only wait for them.
    const target = memory.countDue(1) > 0 ? 0 : pool.scheduler.bufferTarget
    const { size } = this.#buffer
    return size > target / 2 ? 0 : target - size
  }

  /** `#announced`, or Infinity without a feed: then nobody announces the tasks of other processes. */
  private get knownToWait(): number {
    return this.#parts.feed.isOpen ? this.#announced : Infinity
  }

  /** Whether an announced task has a higher priority than one that is buffered. */
  private get isOvertaken(): boolean {
    return this.#highestAnnounced > this.#lowestPriority
  }

  /** Records the priority of an announced task. */
  private noteAnnounced(priority: number): void {
    this.#highestAnnounced = Math.max(this.#highestAnnounced, priority)
  }

  /** Releases claims that urgent tasks have pushed far back: other masters may start them sooner. */
  private releaseSurplus(): void {
    const { feed, pool } = this.#parts
    const { bufferLimit, idleSlots } = pool.scheduler
    if (this.#buffer.size <= 2 * bufferLimit + idleSlots) return
    // The feed would report the released tasks as new, at an unknown priority, and this master would fetch them again.
    void feed.stop()
    for (const held of this.removeAllBut(bufferLimit + idleSlots)) this.release(held)
  }

  private followUp(wanted: number, mayBeMore: boolean): void {
    const { feed, pool } = this.#parts
    // The queue may have been closed during the fetch.
    if (this.#mode === 'closed') return
    this.#mode = mayBeMore ? 'ahead' : 'onDemand'
    if (mayBeMore) this.#announced = Infinity
    else feed.start()
    // During a backlog no announcement is needed, and a feed costs the database a tenth of its time (drain-noop).
    if (mayBeMore && wanted > pool.scheduler.readySlots) void feed.stop()
  }

  private buffer(held: HeldClaim): void {
    const isTooMany = this.#parts.admission.roomOf(held.claim.task.taskType) < 0
    if (this.#mode === 'closed' || isTooMany) {
      this.release(held)
      return
    }
    if (this.#buffer.size === 0) this.#movedAt = performance.now()
    this.#buffer.add(held)
    this.#lowestPriority = Math.min(this.#lowestPriority, held.claim.task.priority)
  }

  /** Removes all buffered claims but the first `count`, and returns them. */
  private removeAllBut(count: number): HeldClaim[] {
    const claims: HeldClaim[] = []
    for (let held = this.#buffer.take(); held !== undefined; held = this.#buffer.take()) claims.push(held)
    this.#lowestPriority = Infinity
    for (const held of claims.splice(0, count)) this.buffer(held)
    return claims
  }

  /** Records the size of a task. @returns the error of a document that the driver can read, but not write */
  private recordSize(task: Task): Error | undefined {
    try {
      this.#parts.pool.scheduler.recordSize(sizeOf(task))
      return undefined
    } catch (error) {
      return new UnsendableValueError('the data of the task', error)
    }
  }
}

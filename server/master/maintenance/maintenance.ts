import type { Log } from '../../../common/log'
import type { ChangeFeed } from '../../queue/mongo/change-feed'
import type { MongoMaintenance } from '../../queue/mongo/maintenance'
import { type Owner, isGone, keyOf } from '../../queue/mongo/owner'
import type { Claims } from '../claims/claims'
import type { DueTimer } from '../dispatch/due-timer'
import type { AnswerMonitor } from './answer-monitor'
import { IndexMaintenance } from './index-maintenance'
import { endOrphans } from './orphans'

/**
 * A document with a state that no version has is somebody's slip: the feed tells of it, and what the feed missed waits
 * for this.
 */
const ADOPT_UNKNOWN_EVERY_MS = 3_600_000

export interface MaintenanceParts {
  readonly queue: MongoMaintenance
  readonly answers: AnswerMonitor
  readonly claims: Claims
  readonly feed: ChangeFeed
  readonly dueTimer: DueTimer
  readonly log: Log
}

/** Keeps the persistent queue in order, at ticks. */
export class Maintenance {
  readonly #parts: MaintenanceParts
  readonly #indexes: IndexMaintenance
  #isPrepared = false
  /** The next tick runs in any case. */
  #isDemanded = true
  #wasSkipped = false
  /** On performance.now: when documents with an unknown state are next adopted. */
  #adoptUnknownAt = 0

  constructor(parts: MaintenanceParts) {
    this.#parts = parts
    this.#indexes = new IndexMaintenance(parts)
  }

  /** Nothing may be claimed before. */
  get isPrepared(): boolean {
    return this.#isPrepared
  }

  /** The next tick runs in any case: a task is due, or nobody knows what has happened. */
  demand(): void {
    this.#isDemanded = true
  }

  /** The collection was dropped or renamed, and its indexes are gone: the next tick creates them anew. */
  collectionDropped(): void {
    this.#indexes.collectionDropped()
  }

  /** Somebody wrote a document with a state that no version has: the next tick adopts it. */
  demandAdoption(): void {
    this.#adoptUnknownAt = 0
    this.demand()
  }

  /**
   * Called at each tick. While a feed reports what happens, every second tick is enough for what it does not report:
   * expired leases, documents without a state.
   */
  skipsTick(): boolean {
    this.#wasSkipped = this.#parts.feed.isOpen && !this.#isDemanded && !this.#wasSkipped
    return this.#wasSkipped
  }

  /**
   * @returns false when there was nothing to do, and there is nothing to claim
   * @throws when the database is away (rejects); what was not done is done the next time
   */
  run(): Promise<boolean> {
    this.#indexes.checkIfDue()
    return this.#parts.answers.watch(this.putInOrderIfNeeded())
  }

  private async putInOrderIfNeeded(): Promise<boolean> {
    const isDemanded = this.#isDemanded
    this.#isDemanded = false
    if (!this.#isPrepared) await this.prepare()
    await this.adoptUnknownInTime()
    const { claims, dueTimer, feed, queue } = this.#parts
    if (isDemanded || !feed.isOpen) await claims.findCancelRequests()
    const hasWork = await queue.needsAttention()
    if (hasWork) await this.putInOrder()
    if (hasWork || isDemanded) {
      const next = await queue.nextDue()
      if (next !== undefined) dueTimer.add(next.wait, next.isOurs)
    }
    return hasWork
  }

  private async putInOrder(): Promise<void> {
    const { claims, log, queue } = this.#parts
    await queue.adopt(false)
    await queue.promoteDue()
    // Invariant 5: a master touches its own tasks and expired ones.
    const released = await queue.rescueExpired(claims.tokens)
    if (released > 0) log.warn(`${String(released)} tasks of a master that did not renew its leases run again`)
  }

  // Invariant 2: the former workers have ended before their tasks run again.
  private async prepare(): Promise<void> {
    const { log, queue } = this.#parts
    await queue.adopt(true)
    const former = (await queue.owners()).filter(isGone)
    const marks = await endOrphans()
    const mayHaveWorkers = (owner: Owner) => marks.some(mark => mark.startsWith(`${keyOf(owner)} `))
    const ended = former.filter(owner => !mayHaveWorkers(owner))
    const released = await queue.rescueFrom(ended)
    if (released > 0) log.warn(`${String(released)} unfinished tasks of a former master on this machine run again`)
    this.#isPrepared = true
  }

  private async adoptUnknownInTime(): Promise<void> {
    if (performance.now() < this.#adoptUnknownAt) return
    await this.#parts.queue.adoptUnknown()
    this.#adoptUnknownAt = performance.now() + ADOPT_UNKNOWN_EVERY_MS
  }
}

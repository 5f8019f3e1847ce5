import type { Log } from '../../../common/log'
import type { ChangeFeed } from '../../queue/mongo/change-feed'
import type { Housekeeping } from '../../queue/mongo/maintenance'
import { isGone } from '../../queue/mongo/owner'
import type { DueTimer } from '../dispatch/due-timer'
import type { Leases } from '../claims/claims'
import { endOrphans } from './orphans'

export interface UpkeepParts {
  readonly queue: Housekeeping
  readonly leases: Leases
  readonly feed: ChangeFeed
  readonly dueTimer: DueTimer
  readonly log: Log
}

/** Keeps the persistent queue in order, at ticks. */
export class Upkeep {
  readonly #parts: UpkeepParts
  #isPrepared = false
  /** Whether the next tick is to look in any case. */
  #isDemanded = true
  #wasLeftOut = false

  constructor(parts: UpkeepParts) {
    this.#parts = parts
  }

  /** Nothing may be claimed before. */
  get isPrepared(): boolean {
    return this.#isPrepared
  }

  /** The next tick is to look in any case: a task is due, or nobody knows what has happened. */
  demand(): void {
    this.#isDemanded = true
  }

  /**
   * Asked at each tick. While a feed tells what happens, every second one is enough for what it does not tell: expired leases,
   * documents by hand.
   */
  mayWait(): boolean {
    this.#wasLeftOut = this.#parts.feed.isOpen && !this.#isDemanded && !this.#wasLeftOut
    return this.#wasLeftOut
  }

  /**
   * @returns false when there was nothing to do, and there is nothing to claim
   * @throws when the database is away; what was not done is done the next time
   */
  async run(): Promise<boolean> {
    const isDemanded = this.#isDemanded
    this.#isDemanded = false
    if (!this.#isPrepared) await this.prepare()
    const { dueTimer, feed, leases, queue } = this.#parts
    if (isDemanded || !feed.isOpen) await leases.dropCancelled()
    const hasWork = await queue.needsAttention()
    if (hasWork) await this.putInOrder()
    if (hasWork || isDemanded) {
      const next = await queue.nextDue()
      if (next !== undefined) dueTimer.add(next.wait, next.isOurs)
    }
    return hasWork
  }

  private async putInOrder(): Promise<void> {
    const { leases, log, queue } = this.#parts
    await queue.adopt(false)
    await queue.promoteDue()
    const count = await queue.releaseExpired()
    if (count > 0) log.warn(`${String(count)} tasks of a master that did not renew its leases run again`)
    // A claim that was made so late that it was looked for too early: by now it has run out.
    if (leases.areNone) await leases.giveBackUnknown()
  }

  private async prepare(): Promise<void> {
    await this.#parts.queue.createIndexes()
    await this.#parts.queue.adopt(true)
    const former = (await this.#parts.queue.owners()).filter(isGone)
    await endOrphans()
    const count = await this.#parts.queue.releaseAllOf(former)
    if (count > 0)
      this.#parts.log.warn(`${String(count)} unfinished tasks of a former master on this machine run again`)
    this.#isPrepared = true
  }
}

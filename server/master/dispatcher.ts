import { Meteor } from 'meteor/meteor'
import { messageOf, toError } from '../../common/errors'
import type { Log } from '../../common/log'
import type { ResolvedOptions } from '../../common/options'
import type { Claims } from '../queue/claims'
import type { MemoryQueue } from '../queue/memory-queue'
import type { Feeder } from './feeder'
import type { Leases } from './leases'
import type { Pool } from './pool'
import type { Upkeep } from './upkeep'

export interface DispatcherParts {
  readonly claims: Claims
  readonly feeder: Feeder
  readonly leases: Leases
  readonly upkeep: Upkeep
  readonly memory: MemoryQueue
  readonly pool: Pool
  readonly options: ResolvedOptions
  readonly log: Log
}

/**
 * Claims due tasks, as many as the workers can use. It looks at the queue at every tick, and between ticks whenever something hints
 * that there is work; one look at a time.
 */
export class Dispatcher {
  readonly #parts: DispatcherParts
  #refreshRate: number
  #interval: number | undefined
  /** The look that is on. */
  #looking: Promise<void> | undefined
  #lookAgain = false
  #isTickDue = false
  /** Whether the last claim found nothing: the next is for one task, which takes one command instead of three. */
  #isDry = true
  /** How many tasks were added that come before some of those in hand. */
  #urgent = 0
  /** Since a look ended in an error, until a tick's does not: one line at each end, however many lie between. */
  #isFailing = false

  constructor(parts: DispatcherParts) {
    this.#parts = parts
    this.#refreshRate = parts.options.refreshRate
  }

  get isRunning(): boolean {
    return this.#interval !== undefined
  }

  start(): void {
    this.#parts.feeder.open()
    this.restartInterval()
    this.tick()
  }

  /** No task is claimed any more; resolves when a look that is on has ended. */
  async stop(): Promise<void> {
    if (this.#interval !== undefined) Meteor.clearInterval(this.#interval)
    this.#interval = undefined
    this.#parts.feeder.close()
    await this.#looking
  }

  /** Takes effect at once when dispatching, else at the start. */
  setRefreshRate(milliseconds: number): void {
    this.#refreshRate = milliseconds
    if (this.isRunning) this.restartInterval()
  }

  /** A task of this priority was added. */
  nudge(priority: number): void {
    if (this.#parts.feeder.wouldOvertake(priority)) this.#urgent++
    this.wake()
  }

  /** There may be something to do. */
  wake(): void {
    if (!this.isRunning) return
    const { feeder, pool } = this.#parts
    feeder.feed()
    this.growForMemory()
    if (!this.#isTickDue && this.wanted === 0 && pool.slotsToFork === 0) return
    this.#lookAgain = true
    this.#looking ??= this.lookUntilDone()
  }

  private restartInterval(): void {
    if (this.#interval !== undefined) Meteor.clearInterval(this.#interval)
    this.#interval = Meteor.setInterval(() => {
      this.tick()
    }, this.#refreshRate)
  }

  private tick(): void {
    this.#isTickDue = true
    this.wake()
  }

  private get wanted(): number {
    return Math.max(this.#urgent, this.#parts.feeder.wanted)
  }

  private growForMemory(): void {
    const { memory, pool } = this.#parts
    const { freeSlots, slotsToFork } = pool
    if (slotsToFork > 0) pool.grow(memory.countDue(freeSlots + slotsToFork) - freeSlots)
  }

  private async lookUntilDone(): Promise<void> {
    while (this.#lookAgain && this.isRunning) {
      this.#lookAgain = false
      try {
        await this.look()
      } catch (error) {
        this.lookFailed(error)
      }
    }
    this.#looking = undefined
  }

  private async look(): Promise<void> {
    const startedAt = performance.now()
    const isTick = this.#isTickDue
    this.#isTickDue = false
    const hasWork = !isTick || (await this.keepInOrder())
    if (hasWork) await this.claimWanted()
    await this.grow(hasWork)
    // A worker that became free during this look was not offered anything yet.
    if (!isTick) return
    this.shrink(performance.now() - startedAt)
    this.lookSucceeded()
  }

  /** @returns whether there may be something to claim */
  private async keepInOrder(): Promise<boolean> {
    if (this.#parts.options.inMemoryOnly) return false
    const { leases, upkeep } = this.#parts
    await leases.dropCancelled()
    const hasWork = await upkeep.run()
    // One that was made so late that it was looked for too early: by now it has run out.
    if (hasWork && leases.areNone) await leases.giveBackUnknown()
    return hasWork
  }

  private get canClaim(): boolean {
    return this.isRunning && !this.#parts.options.inMemoryOnly && this.#parts.upkeep.isPrepared
  }

  private async claimWanted(): Promise<void> {
    const { feeder, leases } = this.#parts
    while (this.canClaim && this.wanted > 0) {
      const limit = this.#isDry ? 1 : this.wanted
      this.#urgent = 0
      const claims = await leases.claim(limit)
      this.#isDry = claims.length === 0
      feeder.take(claims)
      if (claims.length < limit) return
    }
  }

  private async grow(hasWork: boolean): Promise<void> {
    const { claims, feeder, memory, options, pool } = this.#parts
    const { freeSlots, slotsToFork } = pool
    if (slotsToFork === 0) return
    if (options.keepAlive === 'always') {
      pool.grow(slotsToFork)
      return
    }
    const limit = freeSlots + slotsToFork
    const atHand = memory.countDue(limit) + feeder.size
    // Where a worker has room, all that is due has been claimed.
    const canBeMore = hasWork && this.canClaim && pool.room === 0 && atHand < limit
    pool.grow(atHand + (canBeMore ? await claims.countDue(limit - atHand) : 0) - freeSlots)
  }

  /** @param least milliseconds for which a worker must have been idle in any case */
  private shrink(least: number): void {
    const { keepAlive } = this.#parts.options
    if (keepAlive !== 'always') this.#parts.pool.closeIdle(Math.max(keepAlive ?? 0, least))
  }

  private lookFailed(error: unknown): void {
    if (this.#isFailing) return
    this.#isFailing = true
    this.#parts.log.error(
      `cannot read the queue, trying again at each tick: ${toError(error).stack ?? messageOf(error)}`,
    )
  }

  private lookSucceeded(): void {
    if (this.#isFailing) this.#parts.log.warn('the queue can be read again')
    this.#isFailing = false
  }
}

import { Meteor } from 'meteor/meteor'
import { oncePerTurn } from '../../../common/batch'
import type { Log } from '../../../common/log'
import type { ResolvedOptions } from '../../../common/options'
import type { ChangeFeed } from '../../queue/mongo/change-feed'
import type { MemoryQueue } from '../../queue/memory/memory-queue'
import type { Nudge } from '../../queue/signals'
import { Backlog } from './backlog'
import type { DueTimer } from './due-timer'
import type { Feeder } from './local-queue'
import type { Leases } from '../claims/claims'
import { Overtakers } from './overtakers'
import type { PoolSize } from './scaling'
import { QueueOutage } from '../maintenance/outage'
import type { Upkeep } from '../maintenance/maintenance'

export interface DispatcherParts {
  readonly dueTimer: DueTimer
  readonly memory: MemoryQueue
  readonly memoryTimer: DueTimer
  readonly feed: ChangeFeed
  readonly feeder: Feeder
  readonly leases: Leases
  readonly poolSize: PoolSize
  readonly upkeep: Upkeep
  readonly options: ResolvedOptions
  readonly log: Log
}

/**
 * Claims due tasks, as many as the workers can use. It looks at the queue at every tick, and between ticks whenever something hints
 * that there is work; one look at a time.
 */
export class Dispatcher {
  readonly #parts: DispatcherParts
  readonly #backlog: Backlog
  readonly #overtakers: Overtakers
  readonly #outage: QueueOutage
  #refreshRate: number
  #interval: number | undefined
  /** The look that is on. */
  #looking: Promise<void> | undefined
  #lookAgain = false
  #isTickDue = false

  /** There may be something to do: what, is looked up once all that happens in this turn is known. */
  readonly wake = oncePerTurn(() => {
    this.act()
  })

  constructor(parts: DispatcherParts) {
    this.#parts = parts
    this.#backlog = new Backlog(parts.feed)
    this.#overtakers = new Overtakers(priority => parts.feeder.wouldOvertake(priority))
    this.#outage = new QueueOutage(parts.log)
    this.#refreshRate = parts.options.refreshRate
  }

  get isRunning(): boolean {
    return this.#interval !== undefined
  }

  start(): void {
    const { feed, feeder, options } = this.#parts
    feeder.open()
    if (!options.inMemoryOnly) feed.start()
    this.restartInterval()
    this.tickInAnyCase()
  }

  /** No task is claimed any more; resolves when a look that is on has ended. */
  async stop(): Promise<void> {
    const { dueTimer, feed, feeder, memoryTimer } = this.#parts
    if (this.#interval !== undefined) Meteor.clearInterval(this.#interval)
    this.#interval = undefined
    dueTimer.stop()
    memoryTimer.stop()
    feeder.close()
    // A claim that is on its way may open the feed.
    await this.#looking
    await feed.stop()
  }

  /** Takes effect at once when dispatching, else at the start. */
  setRefreshRate(milliseconds: number): void {
    this.#refreshRate = milliseconds
    if (this.isRunning) this.restartInterval()
  }

  /** This task was added to the database, or may be claimed again. */
  nudge({ priority, dueDate }: Nudge): void {
    const delay = Number(dueDate) - Date.now()
    if (delay > 0) this.dueIn(delay, true)
    else {
      this.#overtakers.added(priority)
      this.mayClaim()
    }
  }

  /** Whether a task that is added now would be the next to run, at once. */
  get isIdle(): boolean {
    return this.isRunning && this.#backlog.isEmpty && this.#looking === undefined && this.#parts.feeder.isIdle
  }

  /** A task will be due in so many milliseconds. @param isOurs whether it is known to be of this app */
  dueIn(delay: number, isOurs: boolean): void {
    if (this.isRunning) this.#parts.dueTimer.add(delay, isOurs)
  }

  /** There may be something to claim. */
  mayClaim(): void {
    this.#backlog.heard()
    this.wake()
  }

  /** Much may have happened. */
  tickInAnyCase(): void {
    this.#parts.upkeep.demand()
    this.tick()
  }

  private act(): void {
    if (!this.isRunning) return
    const { feeder, memory, memoryTimer, poolSize } = this.#parts
    feeder.feed()
    poolSize.growForMemory()
    memoryTimer.addDate(memory.nextDue)
    if (!this.#isTickDue && !this.canClaim && !poolSize.canGrow) return
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
    this.#parts.feeder.giveBackStale()
    this.wake()
  }

  private get wanted(): number {
    return this.#parts.feeder.wanted(this.#backlog.isLeft, this.#overtakers.count)
  }

  private get mayBeMore(): boolean {
    const { options, upkeep } = this.#parts
    return this.isRunning && !options.inMemoryOnly && upkeep.isPrepared && !this.#backlog.isEmpty
  }

  private get canClaim(): boolean {
    return this.mayBeMore && this.wanted > 0
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
    await this.#parts.poolSize.grow(hasWork && this.mayBeMore)
    // A worker that became free during this look was not offered anything yet.
    if (!isTick) return
    this.#parts.poolSize.shrink(performance.now() - startedAt)
    this.#outage.lookSucceeded()
  }

  /** @returns whether there may be something to claim */
  private async keepInOrder(): Promise<boolean> {
    const { options, upkeep } = this.#parts
    if (options.inMemoryOnly) return false
    if (upkeep.mayWait()) return !this.#backlog.isEmpty
    this.#backlog.asked()
    const hasWork = await upkeep.run()
    if (hasWork) this.#backlog.heard()
    return hasWork
  }

  private async claimWanted(): Promise<void> {
    const { feeder, leases } = this.#parts
    while (this.canClaim) {
      const limit = this.#backlog.limit(this.wanted)
      const isOvertaking = this.#overtakers.count > 0
      this.#overtakers.claiming(limit)
      this.#backlog.asked()
      const claims = await leases.claim(limit)
      this.#backlog.claimed(claims.length, limit)
      feeder.take(claims)
      if (isOvertaking) feeder.giveBackSurplus()
      this.#overtakers.claimed(claims.length < limit)
      if (claims.length < limit && this.#overtakers.count === 0) return
    }
  }

  private lookFailed(error: unknown): void {
    this.#backlog.heard()
    this.#parts.upkeep.demand()
    this.#outage.lookFailed(error)
  }
}

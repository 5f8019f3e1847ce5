import { Meteor } from 'meteor/meteor'
import { oncePerTurn } from '../../../common/batch'
import type { Log } from '../../../common/log'
import type { ResolvedOptions } from '../../../common/options'
import type { TaskSignal } from '../../../common/task'
import type { ChangeFeed } from '../../queue/mongo/change-feed'
import type { MemoryQueue } from '../../queue/memory/memory-queue'
import { Backlog } from './backlog'
import type { DueTimer } from './due-timer'
import type { LocalQueue } from './local-queue'
import type { Claims } from '../claims/claims'
import type { HeldClaim } from '../claims/held-claim'
import type { Scaling } from './scaling'
import { QueueOutage } from '../maintenance/outage'
import type { Maintenance } from '../maintenance/maintenance'

export interface DispatcherParts {
  readonly dueTimer: DueTimer
  readonly memory: MemoryQueue
  readonly memoryTimer: DueTimer
  readonly feed: ChangeFeed
  readonly localQueue: LocalQueue
  readonly claims: Claims
  readonly scaling: Scaling
  readonly maintenance: Maintenance
  readonly options: ResolvedOptions
  readonly log: Log
}

/**
 * Claims due tasks, as many as the workers can use. It polls the queue at every tick, and between ticks whenever a
 * signal says that there may be work; one poll at a time.
 */
export class Dispatcher {
  readonly #parts: DispatcherParts
  readonly #backlog: Backlog
  readonly #outage: QueueOutage
  #refreshRate: number
  #interval: number | undefined
  /** The poll in flight. */
  #polling: Promise<void> | undefined
  #pollAgain = false
  #isTickDue = false
  #isTaskDue = false
  /**
   * The highest priority of what was added or became due since the last fetch was sent; Infinity where it is not known.
   */
  #arrived = -Infinity

  /** Schedules one pass at the end of this turn; further calls in the same turn are merged into it. */
  readonly wake = oncePerTurn(() => {
    this.act()
  })

  constructor(parts: DispatcherParts) {
    this.#parts = parts
    this.#backlog = new Backlog(parts.feed)
    this.#outage = new QueueOutage(parts.log)
    this.#refreshRate = parts.options.refreshRate
  }

  get isRunning(): boolean {
    return this.#interval !== undefined
  }

  start(): void {
    const { feed, localQueue, options } = this.#parts
    localQueue.open()
    if (!options.inMemoryOnly) feed.start()
    this.restartInterval()
    this.tickInAnyCase()
  }

  /** No task is claimed any more; resolves when the poll in flight has returned. */
  async stop(): Promise<void> {
    const { dueTimer, feed, localQueue, memoryTimer } = this.#parts
    if (this.#interval !== undefined) Meteor.clearInterval(this.#interval)
    this.#interval = undefined
    dueTimer.stop()
    memoryTimer.stop()
    localQueue.close()
    // A claim that is on its way may open the feed.
    await this.#polling
    // It may have been started again meanwhile.
    if (!this.isRunning) await feed.stop()
  }

  /** Takes effect at once when dispatching, else at the start. */
  setRefreshRate(milliseconds: number): void {
    this.#refreshRate = milliseconds
    if (this.isRunning) this.restartInterval()
  }

  /** This task was added to the database, or may be claimed again. */
  taskAdded({ priority, dueDate }: TaskSignal): void {
    const delay = Number(dueDate) - Date.now()
    if (delay > 0) this.dueIn(delay, true)
    else {
      // Somebody else may have written anything there.
      this.#arrived = Number.isFinite(priority) ? Math.max(this.#arrived, priority) : Infinity
      this.mayClaim()
    }
  }

  /** Whether a task that is added now would be the next to run, at once. */
  get isIdle(): boolean {
    return this.isRunning && this.#backlog.isEmpty && this.#polling === undefined && this.#parts.localQueue.isIdle
  }

  /** A task will be due in so many milliseconds. @param isOurs whether it is known to be of this app */
  dueIn(delay: number, isOurs: boolean): void {
    if (this.isRunning) this.#parts.dueTimer.add(delay, isOurs)
  }

  /** This master released a task, which may be claimed again in `delay` milliseconds. */
  releasedFor(task: TaskSignal, delay: number): void {
    if (delay > 0) this.dueIn(delay, true)
    else this.taskAdded(task)
  }

  /** A task of whatever priority is due, or may be claimed again. */
  taskDue(): void {
    this.#isTaskDue = true
    this.tickInAnyCase()
  }

  /** Another process released a task of whatever priority. */
  taskReleased(): void {
    this.#arrived = Infinity
    this.mayClaim()
  }

  /** Anything may have happened. */
  tickInAnyCase(): void {
    this.#parts.maintenance.demand()
    this.tick()
  }

  private mayClaim(): void {
    this.#backlog.heard()
    this.wake()
  }

  private act(): void {
    if (!this.isRunning) return
    const { localQueue, memory, memoryTimer, scaling } = this.#parts
    localQueue.assign()
    scaling.growForMemory()
    const wait = memory.nextDueIn
    if (wait > 0 && wait < Infinity) memoryTimer.add(wait, true)
    if (!this.#isTickDue && !this.canClaim && !scaling.canGrow) return
    this.#pollAgain = true
    this.#polling ??= this.pollUntilDone()
  }

  private restartInterval(): void {
    if (this.#interval !== undefined) Meteor.clearInterval(this.#interval)
    this.#interval = Meteor.setInterval(() => {
      this.tick()
    }, this.#refreshRate)
  }

  private tick(): void {
    this.#isTickDue = true
    this.#parts.localQueue.releaseStale()
    this.wake()
  }

  private get wanted(): number {
    return this.#parts.localQueue.wanted(this.#backlog.isLeft, this.isUrgent)
  }

  /** Whether a task that has arrived may come before one that was claimed and has not started. */
  private get isUrgent(): boolean {
    return this.#parts.localQueue.wouldOvertake(this.#arrived)
  }

  private get mayBeMore(): boolean {
    const { options, maintenance } = this.#parts
    return this.isRunning && !options.inMemoryOnly && maintenance.isPrepared && !this.#backlog.isEmpty
  }

  private get canClaim(): boolean {
    return this.mayBeMore && this.wanted > 0
  }

  private async pollUntilDone(): Promise<void> {
    while (this.#pollAgain && this.isRunning) {
      this.#pollAgain = false
      try {
        await this.poll()
      } catch (error) {
        this.pollFailed(error)
      }
    }
    this.#polling = undefined
  }

  private async poll(): Promise<void> {
    const startedAt = performance.now()
    const isTick = this.#isTickDue
    this.#isTickDue = false
    const hasWork = !isTick || (await this.keepInOrder())
    if (hasWork) await this.claimWanted()
    await this.#parts.scaling.grow(hasWork && this.mayBeMore)
    // A worker that became free during this poll was not offered anything yet.
    if (!isTick) return
    this.#parts.scaling.shrink(performance.now() - startedAt)
    this.#outage.pollSucceeded()
  }

  /** @returns whether there may be something to claim */
  private async keepInOrder(): Promise<boolean> {
    const { options, maintenance } = this.#parts
    if (options.inMemoryOnly) return false
    if (maintenance.skipsTick()) return !this.#backlog.isEmpty
    this.#backlog.asked()
    const isTaskDue = this.#isTaskDue
    this.#isTaskDue = false
    const hasWork = await maintenance.run()
    if (hasWork) this.#backlog.heard()
    // Not before it was promoted: a fetch that is sent earlier does not find it.
    if (isTaskDue) this.#arrived = Infinity
    return hasWork
  }

  private async claimWanted(): Promise<void> {
    while (this.canClaim) {
      const limit = this.#backlog.limit(this.wanted)
      const { isUrgent } = this
      const count = await this.fetch(limit)
      if (isUrgent) this.#parts.localQueue.releaseSurplus()
      if (count < limit && !this.isUrgent) return
    }
  }

  /** What arrives from now on makes itself heard. @returns how many tasks were claimed */
  private async fetch(limit: number): Promise<number> {
    const { claims, localQueue } = this.#parts
    const { isUrgent } = this
    this.#arrived = -Infinity
    this.#backlog.asked()
    const helds = await claims.fetch(limit)
    this.#backlog.claimed(helds.length, limit)
    // There may be more of them.
    if (isUrgent && helds.length === limit) this.#arrived = Math.max(this.#arrived, lowestPriorityOf(helds))
    localQueue.take(helds)
    return helds.length
  }

  private pollFailed(error: unknown): void {
    this.#backlog.heard()
    // What had arrived was not fetched.
    this.#arrived = Infinity
    this.#parts.maintenance.demand()
    this.#outage.pollFailed(error)
  }
}

/** They come in their order. */
function lowestPriorityOf(helds: readonly HeldClaim[]): number {
  return helds.at(-1)?.claim.task.priority ?? -Infinity
}

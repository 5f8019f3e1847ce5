import { Meteor } from 'meteor/meteor'
import { oncePerTurn } from '../../../common/batch'
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
import type { QueueOutage } from '../maintenance/outage'
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
  readonly outage: QueueOutage
}

/**
 * Claims due tasks, as many as the workers can use, whenever a signal says that there may be work; one pass at a time.
 * What nothing tells of is found by the maintenance.
 */
export class Dispatcher {
  readonly #parts: DispatcherParts
  readonly #backlog: Backlog
  #refreshRate: number
  #interval: number | undefined
  /** The pass on its way: there is one at a time. */
  #passing: Promise<void> | undefined
  /** Somebody woke it since the last pass began. */
  #isAwake = false
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
    this.#refreshRate = parts.options.refreshRate
  }

  get isRunning(): boolean {
    return this.#interval !== undefined
  }

  start(): void {
    const { feed, localQueue, options } = this.#parts
    localQueue.open()
    if (!options.inMemoryOnly) feed.start()
    this.startTicks()
    this.wake()
  }

  /** No task is claimed any more; resolves when what is on its way to the database has returned. */
  async stop(): Promise<void> {
    const { dueTimer, feed, localQueue, maintenance, memoryTimer } = this.#parts
    this.stopTicks()
    dueTimer.stop()
    memoryTimer.stop()
    localQueue.close()
    // A claim that is on its way may open the feed.
    await Promise.all([this.#passing, maintenance.stop()])
    // It may have been started again meanwhile.
    if (!this.isRunning) await feed.stop()
  }

  /** Takes effect at once when dispatching, else at the start. */
  setRefreshRate(milliseconds: number): void {
    this.#refreshRate = milliseconds
    if (this.isRunning) this.startTicks()
  }

  /** This task was added to the database, or may be claimed again. */
  taskAdded({ priority, dueDate }: TaskSignal): void {
    const delay = Number(dueDate) - Date.now()
    if (delay > 0) this.dueIn(delay, true)
    // Somebody else may have written anything there.
    else this.arrived(Number.isFinite(priority) ? priority : Infinity)
  }

  /** Whether a task that is added now would be the next to run, at once. */
  get isIdle(): boolean {
    return this.isRunning && this.#backlog.isEmpty && this.#passing === undefined && this.#parts.localQueue.isIdle
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

  /** The maintenance asks whether tasks wait. */
  queueAsked(): void {
    this.#backlog.asked()
  }

  /** Tasks may be waiting. @param areNew whether some of them were not, at the last fetch; of whatever priority */
  tasksWait(areNew: boolean): void {
    this.arrived(areNew ? Infinity : -Infinity)
  }

  private arrived(priority: number): void {
    this.#arrived = Math.max(this.#arrived, priority)
    this.mayClaim()
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
    if (!this.canClaim() && !scaling.canGrow) return
    this.#isAwake = true
    this.#passing ??= this.passWhileAwake()
  }

  private stopTicks(): void {
    if (this.#interval !== undefined) Meteor.clearInterval(this.#interval)
    this.#interval = undefined
  }

  private startTicks(): void {
    this.stopTicks()
    this.#interval = Meteor.setInterval(() => void this.tick(), this.#refreshRate)
    if (!this.#parts.options.inMemoryOnly) this.#parts.maintenance.start(this.#refreshRate)
  }

  private async tick(): Promise<void> {
    const startedAt = performance.now()
    this.#parts.localQueue.releaseStale()
    this.act()
    await this.#passing
    // A worker that became free meanwhile was not offered anything yet.
    if (this.isRunning) this.#parts.scaling.shrink(performance.now() - startedAt)
  }

  private get wanted(): number {
    return this.#parts.localQueue.wanted(this.#backlog.isLeft, this.isUrgent)
  }

  /** Whether a task that has arrived may come before one that was claimed and has not started. */
  private get isUrgent(): boolean {
    return this.#parts.localQueue.wouldOvertake(this.#arrived)
  }

  private get mayBeMore(): boolean {
    // In the maintenance of a master that runs in-memory tasks only, nothing is ever prepared.
    return this.isRunning && this.#parts.maintenance.isPrepared && !this.#backlog.isEmpty
  }

  private canClaim(): boolean {
    return this.mayBeMore && this.wanted > 0
  }

  private async passWhileAwake(): Promise<void> {
    try {
      do {
        // Before the queries: what happens from now on may be too late for them.
        this.#isAwake = false
        await this.pass()
      } while (this.isWanted)
    } catch (error) {
      this.failed(error)
    }
    this.#passing = undefined
  }

  private get isWanted(): boolean {
    return this.#isAwake && this.isRunning
  }

  private async pass(): Promise<void> {
    const { outage, scaling } = this.#parts
    const isAsked = this.canClaim()
    let mayBeMore = true
    while (mayBeMore && this.canClaim()) mayBeMore = await this.fetch()
    await scaling.grow(this.mayBeMore)
    if (isAsked) outage.succeeded(this)
  }

  /** What arrives from now on makes itself heard. @returns whether there may be more that should be fetched */
  private async fetch(): Promise<boolean> {
    const { claims, localQueue } = this.#parts
    const { isUrgent } = this
    const limit = this.#backlog.limit(this.wanted)
    this.#arrived = -Infinity
    this.#backlog.asked()
    const helds = await claims.fetch(limit)
    const isFull = helds.length === limit
    this.#backlog.claimed(helds.length, limit)
    // There may be more of them.
    if (isUrgent && isFull) this.#arrived = Math.max(this.#arrived, lowestPriorityOf(helds))
    localQueue.take(helds)
    if (isUrgent) localQueue.releaseSurplus()
    return isFull || this.isUrgent
  }

  /** It is tried again at the next tick. */
  private failed(error: unknown): void {
    this.#backlog.heard()
    // What had arrived was not fetched.
    this.#arrived = Infinity
    this.#parts.outage.failed(this, error)
  }
}

/** They come in their order. */
function lowestPriorityOf(helds: readonly HeldClaim[]): number {
  return helds.at(-1)?.claim.task.priority ?? -Infinity
}

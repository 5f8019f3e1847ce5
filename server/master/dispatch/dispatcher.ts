import { oncePerTurn } from '../../../common/batch'
import type { ResolvedOptions } from '../../../common/options'
import type { Task, TaskSignal } from '../../../common/task'
import { PassLoop } from '../../pass-loop'
import type { Pool } from '../../pool/pool'
import type { MemoryQueue } from '../../queue/memory/memory-queue'
import type { ChangeFeed } from '../../queue/mongo/feeds/change-feed'
import { Ticks } from '../../ticks'
import type { Admission } from '../claims/admission'
import type { Maintenance } from '../maintenance/maintenance'
import type { Outage } from '../outage'
import type { Assigner } from './assigner'
import type { DueTimer } from './due-timer'
import type { LocalQueue } from './local-queue'
import type { Scaling } from './scaling'

export interface DispatcherParts {
  readonly admission: Admission
  readonly assigner: Assigner
  readonly dueTimer: DueTimer
  readonly feed: ChangeFeed
  readonly localQueue: LocalQueue
  readonly maintenance: Maintenance
  readonly memory: MemoryQueue
  readonly memoryTimer: DueTimer
  readonly options: ResolvedOptions
  readonly outage: Outage
  readonly pool: Pool
  readonly scaling: Scaling
}

/**
 * Fetches due tasks, assigns them to workers and has workers forked, whenever a signal says that there may be work. One
 * pass runs at a time. The maintenance finds what no signal reported.
 */
export class Dispatcher {
  readonly #parts: DispatcherParts
  #refreshRate: number
  readonly #ticks = new Ticks(() => void this.tick())
  readonly #loop = new PassLoop(() => this.tryPass())
  /** How many new tasks are being stored already claimed, for idle slots. */
  #adding = 0

  /** Schedules one pass at the end of this turn; further calls in the same turn are merged into it. */
  readonly wake = oncePerTurn(() => {
    this.dispatch()
  })

  constructor(parts: DispatcherParts) {
    this.#parts = parts
    this.#refreshRate = parts.options.refreshRate
  }

  /** Whether it has started, and not stopped. */
  get isRunning(): boolean {
    return this.#ticks.areOn
  }

  start(): void {
    const { feed, localQueue, options } = this.#parts
    localQueue.open()
    if (!options.inMemoryOnly) feed.start()
    this.startTicks()
    this.wake()
  }

  /** Stops claiming. Resolves when the database operations in flight have returned. */
  async stop(): Promise<void> {
    const { dueTimer, feed, localQueue, maintenance, memoryTimer } = this.#parts
    this.#ticks.stop()
    dueTimer.stop()
    memoryTimer.stop()
    localQueue.close()
    await Promise.all([feed.stop(), this.#loop.settled(), maintenance.stop()])
  }

  /** Milliseconds between two ticks. */
  get refreshRate(): number {
    return this.#refreshRate
  }

  /** Takes effect at once while dispatching, otherwise at the next start. */
  setRefreshRate(milliseconds: number): void {
    this.#refreshRate = milliseconds
    if (this.isRunning) this.startTicks()
  }

  /** Whether a task that is added now would start at once, before all others. */
  get isIdle(): boolean {
    const { localQueue, memory, pool } = this.#parts
    const isFree = this.isRunning && !this.#loop.isPassing && pool.scheduler.idleSlots > this.#adding
    return isFree && localQueue.isDry && localQueue.size === 0 && memory.countDue(1) === 0
  }

  /** Stores a new task already claimed, and assigns it. @throws DuplicateTaskError (rejects) */
  async addClaimed(task: Task): Promise<void> {
    this.#adding++
    try {
      await this.#parts.localQueue.addClaimed(task)
    } finally {
      this.#adding--
    }
    // The idle worker may be gone by now.
    this.dispatch()
  }

  /** This task was added to the database, or may be claimed again. */
  taskAdded({ dueDate, priority, state, taskType }: TaskSignal): void {
    if (state === 'scheduled') {
      // Even if it is due by now: it must become `waiting` first.
      this.dueIn(Number(dueDate) - Date.now(), true)
      return
    }
    // Once there is room for the type, whatever waits is announced.
    if (this.#parts.admission.roomOf(taskType) <= 0) return
    // A document that other code wrote may have a priority that is not a number.
    this.#parts.localQueue.announce(Number.isFinite(priority) ? priority : Infinity)
    this.wake()
  }

  /** This master released a task, which may be claimed again in `delay` milliseconds. */
  releasedFor(task: TaskSignal, delay: number): void {
    if (delay > 0) this.dueIn(delay, true)
    else this.taskAdded(task)
  }

  /** A task will be due in `delay` milliseconds. @param isOurs whether it is known to be of this app */
  dueIn(delay: number, isOurs: boolean): void {
    if (this.isRunning) this.#parts.dueTimer.add(delay, isOurs)
  }

  /** The maintenance is about to ask the database whether tasks wait. */
  pollStarted(): void {
    this.#parts.localQueue.resetAnnounced()
  }

  /** Tasks may be waiting. @param areNew whether some became claimable since the last fetch, at any priority */
  tasksFound(areNew: boolean): void {
    this.#parts.localQueue.announceUnknown(areNew)
    this.wake()
  }

  private dispatch(): void {
    if (!this.isRunning) return
    const { assigner, memory, memoryTimer, scaling } = this.#parts
    const wait = memory.promoteDue()
    if (wait < Infinity) memoryTimer.add(wait, true)
    assigner.assign()
    scaling.growForMemory()
    if (!this.canClaim && !scaling.canGrow) return
    this.#loop.request()
  }

  private startTicks(): void {
    this.#ticks.start(this.#refreshRate)
    if (!this.#parts.options.inMemoryOnly) this.#parts.maintenance.start(this.#refreshRate)
  }

  private async tick(): Promise<void> {
    const startedAt = performance.now()
    this.#parts.localQueue.releaseStale()
    this.dispatch()
    await this.#loop.settled()
    // A worker that became idle during this tick has not been offered a job yet, so it stays.
    if (this.isRunning) this.#parts.scaling.shrink(performance.now() - startedAt)
  }

  private get canClaim(): boolean {
    // With `inMemoryOnly` the maintenance never starts, and prepares nothing.
    return this.isRunning && this.#parts.maintenance.isPrepared && this.#parts.localQueue.wanted > 0
  }

  /** @returns whether another may follow at once; after an error, the next tick tries again */
  private async tryPass(): Promise<boolean> {
    try {
      await this.pass()
      return this.isRunning
    } catch (error) {
      this.#parts.outage.failed(this, error)
      return false
    }
  }

  private async pass(): Promise<void> {
    const { assigner, localQueue, maintenance, outage, scaling } = this.#parts
    const isAsked = this.canClaim
    for (let isWorthwhile = true; isWorthwhile && this.canClaim;) {
      isWorthwhile = await localQueue.fetch()
      if (this.isRunning) assigner.assign()
    }
    await scaling.grow(this.isRunning && maintenance.isPrepared && !localQueue.isDry)
    if (isAsked) outage.succeeded(this)
  }
}

import { Meteor } from 'meteor/meteor'
import { UnsendableValueError, messageOf, toError } from '../../common/errors'
import type { Log } from '../../common/log'
import type { ResolvedOptions } from '../../common/options'
import { type Task, faultOf } from '../../common/task'
import { type Definitions, policyOf } from '../../common/task-map'
import type { Claim, Counts } from '../queue/claim'
import type { Claims } from '../queue/claims'
import type { MemoryQueue } from '../queue/memory-queue'
import type { Leases } from './leases'
import type { Pool } from './pool'
import type { Settlement } from './settlement'
import type { Upkeep } from './upkeep'

export interface DispatcherParts {
  readonly definitions: Definitions
  readonly claims: Claims
  readonly leases: Leases
  readonly upkeep: Upkeep
  readonly memory: MemoryQueue
  readonly pool: Pool
  readonly settlement: Settlement
  readonly options: ResolvedOptions
  readonly log: Log
}

/**
 * Brings due tasks to free workers. It looks at the queue at every tick, and between ticks whenever something hints that
 * there is work; one look at a time, so that no two can give one worker two jobs.
 */
export class Dispatcher {
  readonly #parts: DispatcherParts
  #refreshRate: number
  #interval: number | undefined
  /** The look that is on. */
  #looking: Promise<void> | undefined
  #lookAgain = false
  #isTickDue = false
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
    this.restartInterval()
    this.tick()
  }

  /** No task is claimed any more; resolves when a look that is on has ended. */
  async stop(): Promise<void> {
    if (this.#interval !== undefined) Meteor.clearInterval(this.#interval)
    this.#interval = undefined
    await this.#looking
  }

  /** Takes effect at once when dispatching, else at the start. */
  setRefreshRate(milliseconds: number): void {
    this.#refreshRate = milliseconds
    if (this.isRunning) this.restartInterval()
  }

  /** There may be something to do. */
  wake(): void {
    if (!this.isRunning) return
    this.serveMemory()
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

  /** In-memory tasks go first, whatever their priority, and wait for no database. */
  private serveMemory(): void {
    const { memory, pool } = this.#parts
    while (pool.hasIdle) {
      const claim = memory.claim()
      if (claim === undefined) return
      this.run(claim)
    }
    const { freeSlots, room } = pool
    pool.grow(memory.countDue(freeSlots + room) - freeSlots)
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
    if (hasWork && this.canClaim) await this.dispatch()
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

  private async dispatch(): Promise<void> {
    while (this.isRunning && this.#parts.pool.hasIdle) {
      const claim = await this.#parts.leases.claim()
      if (claim === undefined) return
      this.runUnlessMalformed(claim)
    }
  }

  /** What is in memory was checked when it was added; a document somebody may have written by hand. */
  private runUnlessMalformed(claim: Claim): void {
    const fault = faultOf(claim.task)
    if (fault === undefined) this.run(claim)
    else void this.#parts.settlement.fail(claim, fault, uncounted(claim.task))
  }

  private run(claim: Claim): void {
    const { definitions, leases, pool, settlement } = this.#parts
    const { task } = claim
    const { timeout } = policyOf(task, definitions)
    try {
      const isSent = this.isRunning && pool.run(claim, { startBefore: leases.expiryOf(claim), timeout })
      // The worker may have died, or been given an in-memory task, while the claim was on its way.
      if (!isSent) void settlement.release(claim, { hasStarted: false })
    } catch (error) {
      void settlement.fail(claim, new UnsendableValueError('the data of the task', error), uncounted(task))
    }
  }

  private async grow(hasWork: boolean): Promise<void> {
    const { claims, memory, options, pool } = this.#parts
    if (options.keepAlive === 'always') {
      pool.grow(pool.room)
    } else if (hasWork && this.canClaim && !pool.hasIdle && pool.room > 0) {
      const { freeSlots, room } = pool
      const inMemory = memory.countDue(freeSlots + room)
      pool.grow(inMemory + (await claims.countDue(freeSlots + room)) - freeSlots)
    }
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

/** The claim counted an attempt, but the task's function is not called. */
function uncounted({ attempts = 1 }: Task): Counts {
  return { attempts: attempts - 1 }
}

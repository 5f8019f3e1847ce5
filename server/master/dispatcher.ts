import { Meteor } from 'meteor/meteor'
import { UnsendableValueError, messageOf, toError } from '../../common/errors'
import type { Log } from '../../common/log'
import type { ResolvedOptions } from '../../common/options'
import type { Claim } from '../queue/claim'
import type { Claims } from '../queue/claims'
import type { Listeners } from '../queue/listeners'
import type { MemoryQueue } from '../queue/memory-queue'
import type { WakeUp } from '../queue/wake-up'
import { consult } from './broker'
import type { Leases } from './leases'
import { type Pool, type PoolEvents, describeExit } from './pool'
import { Settlement } from './settlement'
import type { Upkeep } from './upkeep'

export interface DispatcherParts {
  readonly claims: Claims
  readonly leases: Leases
  readonly upkeep: Upkeep
  readonly memory: MemoryQueue
  readonly listeners: Listeners
  readonly wakeUp: WakeUp
  readonly createPool: (events: PoolEvents) => Pool
  readonly options: ResolvedOptions
  readonly log: Log
}

/**
 * Brings due tasks to free workers. It looks at the queue at every tick, and between ticks whenever something hints that
 * there is work; one look at a time, so that no two can give one worker two jobs.
 */
export class Dispatcher {
  readonly #claims: Claims
  readonly #leases: Leases
  readonly #upkeep: Upkeep
  readonly #memory: MemoryQueue
  readonly #wakeUp: WakeUp
  readonly #options: ResolvedOptions
  readonly #log: Log
  readonly #pool: Pool
  readonly #settlement: Settlement
  #refreshRate: number
  #interval: number | undefined
  #isLooking = false
  #lookAgain = false
  #isTickDue = false
  /** Task types that were warned of. */
  readonly #unknownTypes = new Set<string>()
  /** Since a look ended in an error, until a tick's does not: one line at each end, however many lie between. */
  #isFailing = false

  constructor({ claims, leases, upkeep, memory, listeners, wakeUp, createPool, options, log }: DispatcherParts) {
    this.#claims = claims
    this.#leases = leases
    this.#upkeep = upkeep
    this.#memory = memory
    this.#wakeUp = wakeUp
    this.#options = options
    this.#log = log
    this.#settlement = new Settlement(leases, listeners, options.maxCrashes, log)
    this.#pool = createPool({
      changed: () => {
        this.wake()
      },
      outcome: (claim, outcome) => void this.#settlement.settle(claim, outcome),
      expired: claim => void this.release(claim, 'its lease ran out before its job could start'),
      question: question => void consult(options.messageBroker, question, log),
      crashed: (claim, exit) => void this.#settlement.crash(claim, describeExit(exit)).then(() => this.wake()),
      notStarted: claim => void this.release(claim, 'its worker died before it had started'),
    })
    this.#refreshRate = options.refreshRate
  }

  /** Starts to dispatch; once started, does nothing. */
  start(): void {
    if (this.#interval !== undefined) return
    this.#wakeUp.onNudge(taskType => {
      this.warnIfUnknown(taskType)
      this.wake()
    })
    this.restartInterval()
    if (!this.#options.inMemoryOnly) this.#leases.start()
    this.tick()
  }

  /** Takes effect at once when dispatching, else at the start. */
  setRefreshRate(milliseconds: number): void {
    this.#refreshRate = milliseconds
    if (this.#interval !== undefined) this.restartInterval()
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

  private wake(): void {
    this.serveMemory()
    this.#lookAgain = true
    if (!this.#isLooking) void this.lookUntilDone()
  }

  /** In-memory tasks go first, whatever their priority, and wait for no database. */
  private serveMemory(): void {
    while (this.#pool.hasIdle) {
      const claim = this.#memory.claim()
      if (claim === undefined) return
      this.run(claim)
    }
    const { freeSlots, room } = this.#pool
    this.#pool.grow(this.#memory.countDue(freeSlots + room) - freeSlots)
  }

  private async lookUntilDone(): Promise<void> {
    this.#isLooking = true
    while (this.#lookAgain) {
      this.#lookAgain = false
      try {
        await this.look()
      } catch (error) {
        this.lookFailed(error)
      }
    }
    this.#isLooking = false
  }

  private async look(): Promise<void> {
    const startedAt = performance.now()
    const isTick = this.#isTickDue
    this.#isTickDue = false
    if (isTick && !this.#options.inMemoryOnly) await this.#upkeep.run()
    if (this.canClaim) await this.dispatch()
    await this.grow()
    // A worker that became free during this look was not offered anything yet.
    if (!isTick) return
    this.shrink(performance.now() - startedAt)
    this.lookSucceeded()
  }

  private get canClaim(): boolean {
    return !this.#options.inMemoryOnly && this.#upkeep.isPrepared
  }

  private async dispatch(): Promise<void> {
    while (this.#pool.hasIdle) {
      const claim = await this.#leases.claim()
      if (claim === undefined) return
      this.run(claim)
    }
  }

  private run(claim: Claim): void {
    try {
      const isSent = this.#pool.run(claim, this.#leases.expiryOf(claim))
      // The worker may have died, or been given an in-memory task, while the claim was on its way.
      if (!isSent) void this.release(claim)
    } catch (error) {
      void this.#settlement.fail(claim, new UnsendableValueError('the data of the task', error))
    }
  }

  private async grow(): Promise<void> {
    if (this.#options.keepAlive === 'always') {
      this.#pool.grow(this.#pool.room)
    } else if (this.canClaim && !this.#pool.hasIdle && this.#pool.room > 0) {
      const { freeSlots, room } = this.#pool
      const inMemory = this.#memory.countDue(freeSlots + room)
      this.#pool.grow(inMemory + (await this.#claims.countDue(freeSlots + room)) - freeSlots)
    }
  }

  /** @param least milliseconds for which a worker must have been idle in any case */
  private shrink(least: number): void {
    const { keepAlive } = this.#options
    if (keepAlive !== 'always') this.#pool.closeIdle(Math.max(keepAlive ?? 0, least))
  }

  private async release(claim: Claim, reason?: string): Promise<void> {
    await this.#settlement.release(claim, reason)
    this.wake()
  }

  /** It may be another app's, so it is left alone; but it may also be a slip of the pen. */
  private warnIfUnknown(taskType: string): void {
    if (this.#claims.claimsType(taskType) || this.#unknownTypes.has(taskType)) return
    this.#unknownTypes.add(taskType)
    this.#log.warn(
      `a task of type "${taskType}" was added, which this app's task map has no function for: ` +
        'unless it is in memory, it waits for an app that has one',
    )
  }

  private lookFailed(error: unknown): void {
    if (this.#isFailing) return
    this.#isFailing = true
    this.#log.error(`cannot read the queue, trying again at each tick: ${toError(error).stack ?? messageOf(error)}`)
  }

  private lookSucceeded(): void {
    if (this.#isFailing) this.#log.warn('the queue can be read again')
    this.#isFailing = false
  }
}

import { Meteor } from 'meteor/meteor'
import { messageOf } from '../../common/errors'
import type { Log } from '../../common/log'
import type { ResolvedOptions } from '../../common/options'
import type { Outcome } from '../../common/protocol'
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
  /** The last look ended in an error: the database is away. */
  #isFailing = false

  constructor({ claims, leases, upkeep, memory, listeners, wakeUp, createPool, options, log }: DispatcherParts) {
    this.#claims = claims
    this.#leases = leases
    this.#upkeep = upkeep
    this.#memory = memory
    this.#wakeUp = wakeUp
    this.#options = options
    this.#log = log
    this.#settlement = new Settlement(listeners, log)
    this.#pool = createPool({
      workerFree: () => {
        this.wake()
      },
      outcome: (claim, outcome) => void this.settle(claim, outcome),
      expired: claim => void this.giveBack(claim, 'its lease ran out before its job could start'),
      question: question => void consult(options.messageBroker, question, log),
      crashed: (claim, exit) => void this.giveBack(claim, `its worker died (${describeExit(exit)})`),
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
    this.#lookAgain = true
    if (!this.#isLooking) void this.lookUntilDone()
  }

  private async lookUntilDone(): Promise<void> {
    this.#isLooking = true
    while (this.#lookAgain) {
      this.#lookAgain = false
      try {
        await this.look()
        this.reportDatabase(undefined)
      } catch (error) {
        this.reportDatabase(error)
      }
    }
    this.#isLooking = false
  }

  private async look(): Promise<void> {
    const isTick = this.#isTickDue
    this.#isTickDue = false
    if (isTick && !this.#options.inMemoryOnly) await this.#upkeep.run()
    await this.dispatch()
    await this.grow()
    if (isTick) this.shrink()
  }

  private async dispatch(): Promise<void> {
    while (this.#pool.hasIdle) {
      const claim = await this.next()
      if (claim === undefined) return
      // The worker may have died while the claim was on its way.
      if (!this.#pool.run(claim, this.#leases.expiryOf(claim)))
        await this.giveBack(claim, 'no worker is left to run it')
    }
  }

  /** In-memory tasks go first, whatever their priority. */
  private async next(): Promise<Claim | undefined> {
    const inMemory = this.#memory.claim()
    return inMemory ?? (this.canClaim ? this.#leases.claim() : undefined)
  }

  private async grow(): Promise<void> {
    if (this.#options.keepAlive === 'always') {
      this.#pool.grow(this.#pool.room)
    } else if (!this.#pool.hasIdle && this.#pool.room > 0) {
      const { capacity, room } = this.#pool
      this.#pool.grow((await this.countDue(capacity + room)) - capacity)
    }
  }

  private async countDue(limit: number): Promise<number> {
    const inMemory = this.#memory.countDue(limit)
    if (inMemory >= limit || !this.canClaim) return inMemory
    return inMemory + (await this.#claims.countDue(limit - inMemory))
  }

  private shrink(): void {
    const { keepAlive } = this.#options
    if (keepAlive !== 'always') this.#pool.closeIdle(keepAlive ?? 0)
  }

  private get canClaim(): boolean {
    return !this.#options.inMemoryOnly && this.#upkeep.isPrepared
  }

  private async settle(claim: Claim, outcome: Outcome): Promise<void> {
    this.#leases.end(claim)
    await this.#settlement.settle(claim, outcome)
    this.#leases.forget(claim)
  }

  private async giveBack(claim: Claim, reason: string): Promise<void> {
    this.#leases.end(claim)
    await this.#settlement.giveBack(claim, reason)
    this.#leases.forget(claim)
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

  /** One line when the database goes away and one when it is back, however many ticks lie between. */
  private reportDatabase(error: unknown): void {
    if (error !== undefined && !this.#isFailing) {
      this.#log.error(`cannot read the queue, trying again at each tick: ${messageOf(error)}`)
    } else if (error === undefined && this.#isFailing) {
      this.#log.warn('the queue can be read again')
    }
    this.#isFailing = error !== undefined
  }
}

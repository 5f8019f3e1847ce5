import { setTimeout as pause } from 'node:timers/promises'
import { Meteor } from 'meteor/meteor'
import { ClusterStoppedError } from '../../common/errors'
import type { Log } from '../../common/log'
import type { ClusterStats } from '../../common/stats'
import type { ResolvedOptions } from '../../common/options'
import type { Pool } from '../pool/pool'
import type { PoolListener } from '../pool/pool-options'
import type { Admission } from './claims/admission'
import type { Claims } from './claims/claims'
import type { Settler } from './claims/settler'
import type { Dispatcher } from './dispatch/dispatcher'
import type { Ticker } from './schedules/ticker'
import { stopOnSignal } from './shutdown'

/** After a signal, at most this part of `stopTimeout` is kept for aborted jobs to finish. */
const MAX_SIGNAL_GRACE_MS = 1000

/**
 * How long a stop waits for outstanding settlements, once the workers are closed. A task whose settlement is not
 * written by then is rescued when its lease expires.
 */
const SETTLE_WAIT_MAX_MS = 1500

export interface MasterParts {
  readonly admission: Admission
  readonly claims: Claims
  readonly dispatcher: Dispatcher
  readonly log: Log
  readonly options: ResolvedOptions
  readonly pool: Pool
  readonly reactions: PoolListener
  readonly settler: Settler
  readonly ticker: Ticker | undefined
}

/**
 * | mode       | entered                        | next                                           |
 * | ---------- | ------------------------------ | ---------------------------------------------- |
 * | stopped    | initially; when a stop is over | running                                        |
 * | running    | by `start`                     | stopping, ending                               |
 * | stopping   | by `stop`                      | stopped when all is closed, restarting, ending |
 * | restarting | by `start` during a stop       | running when all is closed, stopping, ending   |
 * | ending     | on a signal to end the process |                                                |
 */
type Mode = 'stopped' | 'running' | 'stopping' | 'restarting' | 'ending'

/** Starts and stops the parts of a master. */
export class Master {
  readonly #parts: MasterParts
  #mode: Mode = 'stopped'
  /** Whether it was neither started nor stopped yet. */
  #isUntouched = true
  #stopping: Promise<void> | undefined
  #ignoreSignals: () => void = () => undefined

  constructor(parts: MasterParts) {
    this.#parts = parts
  }

  /** Starts dispatching, unless it was started or stopped before. */
  startFirst(): void {
    if (this.#isUntouched) this.start()
  }

  /** Starts dispatching. Does nothing while the master is running; during a stop, restarts once that is over. */
  start(): void {
    this.#isUntouched = false
    if (this.#mode === 'stopping') this.#mode = 'restarting'
    if (this.#mode !== 'stopped') return
    this.#mode = 'running'
    this.#ignoreSignals = stopOnSignal(signal => this.endBy(signal), Meteor.isProduction)
    const { claims, dispatcher, options, pool, reactions, ticker } = this.#parts
    pool.open(reactions)
    if (!options.inMemoryOnly) claims.start()
    dispatcher.start()
    ticker?.start()
  }

  /**
   * Stops dispatching and closes the workers; the master may be started again. A second call during a stop may shorten
   * it. Never rejects.
   *
   * @param timeout milliseconds until running jobs are aborted
   * @param grace milliseconds from then until they are killed
   */
  async stop(timeout: number, grace = timeout === 0 ? 0 : this.#parts.options.abortGrace): Promise<void> {
    this.#isUntouched = false
    if (this.#mode === 'stopped') return
    if (this.#mode !== 'ending') this.#mode = 'stopping'
    const closed = this.#parts.pool.close(timeout, grace, new ClusterStoppedError())
    this.#stopping ??= this.finishStop(closed)
    await this.#stopping
  }

  /** Whether it dispatches. */
  get isRunning(): boolean {
    return this.#mode === 'running'
  }

  /** Whether it holds a claim on a task of this `_id`. */
  holds(_id: string): boolean {
    return this.#parts.claims.holds(_id)
  }

  async stats(): Promise<ClusterStats> {
    const { admission, claims, pool } = this.#parts
    return { workers: await pool.stats(), buffered: claims.buffered, paused: admission.paused }
  }

  setRefreshRate(milliseconds: number): void {
    this.#parts.dispatcher.setRefreshRate(milliseconds)
    this.#parts.ticker?.setRefreshRate(milliseconds)
  }

  private async finishStop(closed: Promise<void>): Promise<void> {
    const { claims, dispatcher, ticker } = this.#parts
    const dispatched = Promise.all([dispatcher.stop(), ticker?.stop()])
    // Jobs that may still finish can be cancelled. If the database is away, the next look finds the requests.
    const looking = setInterval(() => void claims.findCancelRequests().catch(() => undefined), dispatcher.refreshRate)
    await closed
    clearInterval(looking)
    await Promise.race([this.settled(dispatched), pause(SETTLE_WAIT_MAX_MS)])
    claims.stop()
    this.#stopping = undefined
    if (this.#mode === 'ending') return
    this.#ignoreSignals()
    const isWanted = this.#mode === 'restarting'
    this.#mode = 'stopped'
    if (isWanted) this.start()
  }

  /** Resolves when every claim is settled and its event is emitted. */
  async settled(dispatched?: Promise<unknown>): Promise<void> {
    await dispatched
    await this.#parts.claims.fetched()
    await this.#parts.settler.idle()
  }

  /** In development the stop does not wait for jobs: the Meteor tool waits for this process to start the next one. */
  private async endBy(signal: NodeJS.Signals): Promise<void> {
    this.#mode = 'ending'
    const { abortGrace, stopTimeout } = this.#parts.options
    if (!Meteor.isProduction || stopTimeout === 0) {
      await this.stop(0)
      return
    }
    this.#parts.log.warn(`${signal}: running jobs have ${String(stopTimeout)} ms to end`)
    const grace = Math.min(abortGrace, MAX_SIGNAL_GRACE_MS, stopTimeout)
    await this.stop(stopTimeout - grace, grace)
    // One is ours. See `stopOnSignal`.
    if (process.listenerCount(signal) > 1) {
      this.#parts.log.warn(`stopped; another ${signal} listener of this app or of a library has to end the process`)
    }
  }
}

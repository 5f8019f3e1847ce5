import { setTimeout as pause } from 'node:timers/promises'
import { Meteor } from 'meteor/meteor'
import { ClusterStoppedError } from '../../common/errors'
import type { Log } from '../../common/log'
import type { ResolvedOptions } from '../../common/options'
import type { Pool } from '../pool/pool'
import type { PoolListener } from '../pool/pool-options'
import type { Claims } from './claims/claims'
import type { Settler } from './claims/settler'
import type { Dispatcher } from './dispatch/dispatcher'
import { stopOnSignal } from './shutdown'

/** At a signal: the part of `stopTimeout` that is kept for jobs that are aborted. */
const LONGEST_LAST_GRACE_MS = 1000

/**
 * How long a stop waits for the database, after the jobs have ended. What is not written by then is rescued when its
 * lease expires.
 */
const STORE_PATIENCE_MS = 1500

export interface MasterParts {
  readonly claims: Claims
  readonly dispatcher: Dispatcher
  readonly log: Log
  readonly options: ResolvedOptions
  readonly pool: Pool
  readonly reactions: PoolListener
  readonly settler: Settler
}

/**
 * | mode       | entered                             | left for                                     |
 * | ---------- | ----------------------------------- | -------------------------------------------- |
 * | stopped    | at first; when a stop is over       | running                                      |
 * | running    | by `start`                          | stopping, ending                             |
 * | stopping   | by `stop`                           | stopped when all is closed, restarting, ending |
 * | restarting | by `start` during a stop            | running when all is closed, stopping, ending |
 * | ending     | when a signal tells the process to end |                                           |
 */
type Mode = 'stopped' | 'running' | 'stopping' | 'restarting' | 'ending'

/** The life of a master: starts and stops its parts. */
export class Master {
  readonly #parts: MasterParts
  #mode: Mode = 'stopped'
  #stopping: Promise<void> | undefined
  #ignoreSignals: () => void = () => undefined

  constructor(parts: MasterParts) {
    this.#parts = parts
  }

  /** Starts dispatching. Does nothing if it is running; during a stop, it starts again once that is over. */
  start(): void {
    if (this.#mode === 'stopping') this.#mode = 'restarting'
    if (this.#mode !== 'stopped') return
    this.#mode = 'running'
    this.#ignoreSignals = stopOnSignal(signal => this.endBy(signal), Meteor.isProduction)
    const { claims, dispatcher, options, pool, reactions } = this.#parts
    pool.open(reactions)
    if (!options.inMemoryOnly) claims.start()
    dispatcher.start()
  }

  /**
   * Stops dispatching, and closes the workers; it may be started again. A second call during a stop may hurry it. Never
   * rejects.
   *
   * @param timeout milliseconds for which running jobs may go on
   * @param grace milliseconds that they have to end then, before they are killed
   */
  async stop(timeout: number, grace = timeout === 0 ? 0 : this.#parts.options.abortGrace): Promise<void> {
    if (this.#mode === 'stopped') return
    if (this.#mode !== 'ending') this.#mode = 'stopping'
    const closed = this.#parts.pool.close(timeout, grace, new ClusterStoppedError())
    this.#stopping ??= this.finishStop(closed)
    await this.#stopping
  }

  setRefreshRate(milliseconds: number): void {
    this.#parts.dispatcher.setRefreshRate(milliseconds)
  }

  private async finishStop(closed: Promise<void>): Promise<void> {
    const dispatched = this.#parts.dispatcher.stop()
    await closed
    await Promise.race([this.settled(dispatched), pause(STORE_PATIENCE_MS)])
    this.#parts.claims.stop()
    this.#stopping = undefined
    if (this.#mode === 'ending') return
    this.#ignoreSignals()
    const isWanted = this.#mode === 'restarting'
    this.#mode = 'stopped'
    if (isWanted) this.start()
  }

  /** Until everything that was claimed is settled. */
  private async settled(dispatched: Promise<void>): Promise<void> {
    await dispatched
    await this.#parts.claims.fetched()
    await this.#parts.settler.idle()
  }

  /** In development the tool waits for the process, to start the next. */
  private async endBy(signal: NodeJS.Signals): Promise<void> {
    this.#mode = 'ending'
    const { abortGrace, stopTimeout } = this.#parts.options
    if (!Meteor.isProduction || stopTimeout === 0) {
      await this.stop(0)
      return
    }
    this.#parts.log.warn(`${signal}: running jobs have ${String(stopTimeout)} ms to end`)
    const grace = Math.min(abortGrace, LONGEST_LAST_GRACE_MS, stopTimeout)
    await this.stop(stopTimeout - grace, grace)
  }
}

import { setTimeout as pause } from 'node:timers/promises'
import { Meteor } from 'meteor/meteor'
import { Random } from 'meteor/random'
import { ClusterStoppedError } from '../../common/errors'
import type { Log } from '../../common/log'
import type { ResolvedOptions } from '../../common/options'
import type { Definitions } from '../../common/task-map'
import type { Cancelled } from '../queue/claim'
import { Claims } from '../queue/claims'
import { Housekeeping } from '../queue/housekeeping'
import { currentOwner, keyOf } from '../queue/owner'
import { TaskQueue, listeners, memoryQueue, wakeUp } from '../queue/task-queue'
import { consult } from './broker'
import { Dispatcher } from './dispatcher'
import { Events } from './events'
import { forkServer } from './fork-server'
import { Leases } from './leases'
import { Losses } from './losses'
import { Pool } from './pool'
import type { PoolEvents } from './pool-options'
import { Settlement } from './settlement'
import { stopOnSignal } from './shutdown'
import { UnknownTypes } from './unknown-types'
import { Upkeep } from './upkeep'

/** Of `stopTimeout`, the end in which a job that is told to end may do so. */
const LONGEST_LAST_GRACE_MS = 1000

/** How long a stop waits for the database, after the jobs have ended. What is not written then, the leases give back. */
const STORE_PATIENCE_MS = 2000

const NOT_STARTED = { hasStarted: false }

/** Puts the parts of a master together; nothing runs before `start`. */
export class Master {
  readonly #options: ResolvedOptions
  readonly #leases: Leases
  readonly #pool: Pool
  readonly #events: Events
  readonly #losses: Losses
  readonly #settlement: Settlement
  readonly #dispatcher: Dispatcher
  readonly #unknownTypes: UnknownTypes
  readonly #log: Log
  /** Whether the last call was a start. */
  #isWanted = false
  #isEnding = false
  #stopping: Promise<void> | undefined
  #ignoreSignals: () => void = () => undefined

  constructor(definitions: Definitions, options: ResolvedOptions, log: Log) {
    const { leaseDuration, keepFailed } = options
    const owner = currentOwner()
    const claiming = { taskTypes: [...definitions.keys()], leaseDuration, keepFailed }
    const claims = new Claims(TaskQueue.rawCollection(), owner, claiming)
    this.#options = options
    this.#log = log
    this.#leases = new Leases(claims, leaseDuration, () => Random.id(), log)
    this.#pool = this.createPool(keyOf(owner))
    this.#events = new Events(listeners, log)
    this.#losses = this.createLosses()
    this.#settlement = this.createSettlement(definitions)
    this.#dispatcher = new Dispatcher({
      definitions,
      claims,
      leases: this.#leases,
      upkeep: new Upkeep(new Housekeeping(TaskQueue.rawCollection(), owner, claiming.taskTypes), log),
      memory: memoryQueue,
      pool: this.#pool,
      settlement: this.#settlement,
      options,
      log,
    })
    this.#unknownTypes = new UnknownTypes(definitions, log)
    this.#leases.onLost(claim => void this.#losses.lost(claim))
    memoryQueue.open()
    this.listen()
  }

  /** Starts to dispatch; once started, does nothing. During a stop: when that has ended. */
  start(): void {
    this.#isWanted = true
    if (this.#dispatcher.isRunning || this.#stopping !== undefined || this.#isEnding) return
    this.#ignoreSignals = stopOnSignal(signal => this.endBy(signal), Meteor.isProduction)
    this.#pool.open()
    if (!this.#options.inMemoryOnly) this.#leases.start()
    this.#dispatcher.start()
  }

  /**
   * Stops to dispatch, and closes the workers; it may be started again. A second call during a stop may hurry it. Never rejects.
   *
   * @param timeout milliseconds for which running jobs may go on
   * @param grace milliseconds that they have to end then, before they are killed
   */
  async stop(timeout: number, grace = timeout === 0 ? 0 : this.#options.abortGrace): Promise<void> {
    this.#isWanted = false
    if (!this.#dispatcher.isRunning && this.#stopping === undefined) return
    const isClosed = this.#pool.close(timeout, grace, new ClusterStoppedError())
    this.#stopping ??= this.finishStop(isClosed)
    await this.#stopping
  }

  setRefreshRate(milliseconds: number): void {
    this.#dispatcher.setRefreshRate(milliseconds)
  }

  private listen(): void {
    wakeUp.listen({
      nudged: taskType => {
        this.nudged(taskType)
      },
      cancelled: what => void this.cancelled(what),
    })
  }

  private async finishStop(isClosed: Promise<void>): Promise<void> {
    const isLookOver = this.#dispatcher.stop()
    await isClosed
    await Promise.race([isLookOver.then(() => this.#settlement.idle()), pause(STORE_PATIENCE_MS)])
    this.#leases.stop()
    this.#stopping = undefined
    if (!this.#isEnding) this.#ignoreSignals()
    if (this.#isWanted) this.start()
  }

  /** In development the tool waits for the process, to start the next. */
  private async endBy(signal: NodeJS.Signals): Promise<void> {
    this.#isEnding = true
    const { abortGrace, stopTimeout } = this.#options
    if (!Meteor.isProduction || stopTimeout === 0) {
      await this.stop(0)
      return
    }
    this.#log.warn(`${signal}: running jobs have ${String(stopTimeout)} ms to end`)
    const grace = Math.min(abortGrace, LONGEST_LAST_GRACE_MS, stopTimeout)
    await this.stop(stopTimeout - grace, grace)
  }

  private nudged(taskType: string): void {
    this.#unknownTypes.warnOf(taskType)
    this.#dispatcher.wake()
  }

  /** Somebody in this process cancelled this task. */
  private async cancelled({ task, token }: Cancelled): Promise<void> {
    if (token !== undefined) await this.cutShort(token)
    else await this.#events.tellCancelled(task)
  }

  /** A claim that is not here is told of by the master that has it. */
  private async cutShort(token: string): Promise<void> {
    const claim = this.#pool.claimWith(token)
    if (claim !== undefined) await this.#losses.lost(claim, 'cancelled')
  }

  private createLosses(): Losses {
    return new Losses({
      leases: this.#leases,
      events: this.#events,
      log: this.#log,
      abort: (claim, reason) => {
        this.#pool.abort(claim, reason)
      },
    })
  }

  private createSettlement(definitions: Definitions): Settlement {
    return new Settlement({
      leases: this.#leases,
      losses: this.#losses,
      events: this.#events,
      definitions,
      maxCrashes: this.#options.maxCrashes,
      log: this.#log,
      givenBack: () => {
        this.#dispatcher.wake()
      },
    })
  }

  private createPool(ownerKey: string): Pool {
    const { port, maxAvailableWorkers, abortGrace, maxJobsPerWorker, maxWorkerMemory } = this.#options
    return new Pool(
      {
        port,
        size: maxAvailableWorkers,
        abortGrace,
        maxJobs: maxJobsPerWorker,
        maxMemory: maxWorkerMemory,
        fork: workerPort => forkServer(workerPort, ownerKey),
        log: this.#log,
      },
      this.poolEvents(),
    )
  }

  private poolEvents(): PoolEvents {
    const { messageBroker } = this.#options
    return {
      changed: () => {
        this.#dispatcher.wake()
      },
      outcome: (claim, outcome, aborted) => void this.#settlement.settle(claim, outcome, aborted),
      expired: claim => {
        void this.#settlement.release(claim, NOT_STARTED, 'its lease ran out before its job could start')
      },
      question: question => void consult(messageBroker, question, this.#losses.isValid(question.claim), this.#log),
      nudged: taskType => {
        this.nudged(taskType)
      },
      cancelled: token => void this.cutShort(token),
      died: (claim, death, aborted) => void this.#settlement.died(claim, death, aborted),
      notStarted: claim => {
        void this.#settlement.release(claim, NOT_STARTED, 'its worker died before it had started')
      },
    }
  }
}

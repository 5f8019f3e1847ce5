import { fork } from 'node:child_process'
import { resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Meteor } from 'meteor/meteor'
import { Random } from 'meteor/random'
import { ClusterStoppedError } from '../../common/errors'
import type { Log } from '../../common/log'
import type { ResolvedOptions } from '../../common/options'
import type { Task } from '../../common/task'
import type { Definitions } from '../../common/task-map'
import { Claims } from '../queue/claims'
import { currentOwner, keyOf } from '../queue/owner'
import { TaskQueue, listeners, memoryQueue, wakeUp } from '../queue/task-queue'
import { consult } from './broker'
import { Dispatcher } from './dispatcher'
import { forkOptions } from './fork-options'
import { Leases } from './leases'
import { Pool } from './pool'
import { Settlement } from './settlement'
import { stopOnSignal } from './shutdown'
import { UnknownTypes } from './unknown-types'
import { Upkeep } from './upkeep'

/** What Meteor's boot.js knows of this server; in no type package. */
declare const __meteor_bootstrap__: { readonly serverDir: string }

/** How long a stop waits for the database, after the jobs have ended. What is not written then, the leases give back. */
const STORE_PATIENCE_MS = 2000

/** Puts the parts of a master together; nothing runs before `start`. */
export class Master {
  readonly #options: ResolvedOptions
  readonly #leases: Leases
  readonly #pool: Pool
  readonly #settlement: Settlement
  readonly #dispatcher: Dispatcher
  readonly #unknownTypes: UnknownTypes
  readonly #log: Log
  #stopping: Promise<void> | undefined
  #ignoreSignals: () => void = () => undefined

  constructor(definitions: Definitions, options: ResolvedOptions, log: Log) {
    const { leaseDuration, keepFailed } = options
    const owner = currentOwner()
    const taskTypes = [...definitions.keys()]
    const claims = new Claims(TaskQueue.rawCollection(), owner, { taskTypes, leaseDuration, keepFailed })
    this.#options = options
    this.#log = log
    this.#leases = new Leases(claims, leaseDuration, () => Random.id(), log)
    this.#pool = this.createPool(keyOf(owner))
    this.#settlement = this.createSettlement(definitions)
    this.#dispatcher = new Dispatcher({
      definitions,
      claims,
      leases: this.#leases,
      upkeep: new Upkeep(claims, log),
      memory: memoryQueue,
      pool: this.#pool,
      settlement: this.#settlement,
      options,
      log,
    })
    this.#unknownTypes = new UnknownTypes(definitions, log)
    this.#leases.onLost(claim => void this.#settlement.lost(claim))
    memoryQueue.open()
    this.listen()
  }

  /** Starts to dispatch; once started, does nothing. During a stop: when that has ended. */
  start(): void {
    if (this.#stopping !== undefined) {
      void this.#stopping.then(() => {
        this.start()
      })
      return
    }
    if (this.#dispatcher.isRunning) return
    this.#ignoreSignals = stopOnSignal(signal => this.stopBefore(signal))
    this.#pool.open()
    if (!this.#options.inMemoryOnly) this.#leases.start()
    this.#dispatcher.start()
  }

  /** Stops to dispatch, and closes the workers; it may be started again. Never rejects. @param timeout milliseconds for running jobs */
  stop(timeout: number): Promise<void> {
    if (!this.#dispatcher.isRunning) return this.#stopping ?? Promise.resolve()
    this.#stopping = this.closeDown(timeout).finally(() => {
      this.#stopping = undefined
    })
    return this.#stopping
  }

  setRefreshRate(milliseconds: number): void {
    this.#dispatcher.setRefreshRate(milliseconds)
  }

  private listen(): void {
    wakeUp.listen({
      nudged: taskType => {
        this.#unknownTypes.warnOf(taskType)
        this.#dispatcher.wake()
      },
      cancelled: task => void this.cancelled(task),
    })
  }

  private async closeDown(timeout: number): Promise<void> {
    const isLookOver = this.#dispatcher.stop()
    await this.#pool.close(timeout, new ClusterStoppedError())
    const isStored = isLookOver.then(() => this.#settlement.idle())
    await Promise.race([isStored, pause(STORE_PATIENCE_MS)])
    this.#leases.stop()
    this.#ignoreSignals()
  }

  /** In development the tool waits for the process, to start the next. */
  private async stopBefore(signal: NodeJS.Signals): Promise<void> {
    const timeout = Meteor.isDevelopment ? 0 : this.#options.stopTimeout
    if (timeout > 0) this.#log.warn(`${signal}: running jobs have ${String(timeout)} ms to end`)
    await this.stop(timeout)
  }

  /** Somebody in this process cancelled this task, given as it was. */
  private async cancelled(task: Task): Promise<void> {
    const claim = this.#pool.claimOf(task._id)
    if (claim !== undefined) await this.#settlement.lost(claim)
    // Whoever runs it tells its end.
    else if (task.state !== 'running') {
      await this.#settlement.emit('cancelled', { task: { ...task, state: 'cancelled', cancelledAt: new Date() } })
    }
  }

  private createSettlement(definitions: Definitions): Settlement {
    return new Settlement({
      leases: this.#leases,
      listeners,
      definitions,
      maxCrashes: this.#options.maxCrashes,
      log: this.#log,
      abort: (claim, reason) => {
        this.#pool.abort(claim, reason)
      },
      givenBack: () => {
        this.#dispatcher.wake()
      },
    })
  }

  private createPool(ownerKey: string): Pool {
    const { port, maxAvailableWorkers, abortGrace, maxJobsPerWorker, maxWorkerMemory, messageBroker } = this.#options
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
      {
        changed: () => {
          this.#dispatcher.wake()
        },
        outcome: (claim, outcome, aborted) => void this.#settlement.settle(claim, outcome, aborted),
        expired: claim => {
          this.giveBack(claim, 'its lease ran out before its job could start')
        },
        question: question => void consult(messageBroker, question, this.#leases.isValid(question.claim), this.#log),
        died: (claim, death, aborted) => void this.#settlement.died(claim, death, aborted),
        notStarted: claim => {
          this.giveBack(claim, 'its worker died before it had started')
        },
      },
    )
  }

  private giveBack(claim: Parameters<Settlement['release']>[0], reason: string): void {
    void this.#settlement.release(claim, { hasStarted: false }, reason)
  }
}

/** The server's own entry: the same file under `meteor run`, `meteor test-packages`, a bundle and PM2. */
function forkServer(port: number, ownerKey: string): ReturnType<typeof fork> {
  const main = resolve(__meteor_bootstrap__.serverDir, '../../main.js')
  // main.js inserts 'program.json' itself.
  const { env, execArgv, pid } = process
  return fork(main, process.argv.slice(3), forkOptions({ env, execArgv, pid, ownerKey }, port))
}

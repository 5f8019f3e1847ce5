/** Puts the parts of a master together; nothing runs before it is started. */
import { messageOf } from '../../common/errors'
import type { Log } from '../../common/log'
import type { ResolvedOptions } from '../../common/options'
import type { Task } from '../../common/task'
import type { Definitions } from '../../common/task-map'
import { ChangeFeed } from '../queue/mongo/change-feed'
import type { Cancelled } from '../queue/claim'
import { Claims } from '../queue/mongo/claim'
import { Housekeeping } from '../queue/mongo/maintenance'
import { currentOwner, keyOf } from '../queue/mongo/owner'
import { QUEUE_NAME, TaskQueue, listeners, memoryQueue } from '../queue/task-queue'
import type { RawCollection, StoredTask } from '../queue/mongo/updates'
import type { Nudge, WakeUpListener } from '../queue/signals'
import { consult } from './broker'
import { Dispatcher } from './dispatch/dispatcher'
import { DueTimer } from './dispatch/due-timer'
import { Events } from './claims/events'
import { Feeder } from './dispatch/local-queue'
import { forkServer } from '../pool/fork/fork-server'
import { Leases } from './claims/claims'
import { Losses } from './claims/losses'
import { Pool } from '../pool/pool'
import type { PoolEvents } from '../pool/pool-options'
import { PoolSize } from './dispatch/scaling'
import { Settlement } from './claims/settler'
import { UnknownTypes } from './maintenance/unknown-types'
import { Upkeep } from './maintenance/maintenance'

export class Parts implements WakeUpListener {
  readonly leases: Leases
  readonly pool: Pool
  readonly settlement: Settlement
  readonly dispatcher: Dispatcher
  readonly #definitions: Definitions
  readonly #options: ResolvedOptions
  readonly #log: Log
  readonly #events: Events
  readonly #losses: Losses
  readonly #feeder: Feeder
  readonly #feed: ChangeFeed
  readonly #poolSize: PoolSize
  readonly #unknownTypes: UnknownTypes

  /** A claim that is not here is told of by the master that has it. */
  readonly #cutShort = (token: string): void => {
    const claim = this.leases.claimWith(token) ?? this.pool.claimWith(token)
    if (claim !== undefined) void this.#losses.lost(claim, 'cancelled')
  }

  constructor(definitions: Definitions, options: ResolvedOptions, log: Log) {
    const { leaseDuration, keepFailed, abortGrace } = options
    const owner = currentOwner()
    const taskTypes = [...definitions.keys()]
    // What was just written is read, whatever the connection string prefers.
    const tasks = TaskQueue.rawDatabase().collection<StoredTask>(QUEUE_NAME, { readPreference: 'primary' })
    const claims = new Claims(tasks, owner, { taskTypes, leaseDuration, keepFailed })
    this.#definitions = definitions
    this.#options = options
    this.#log = log
    this.#unknownTypes = new UnknownTypes(definitions, log)
    this.#events = new Events(listeners, log)
    this.#feed = this.createFeed(tasks, taskTypes)
    this.leases = new Leases(claims, leaseDuration, log)
    this.pool = this.createPool(keyOf(owner))
    this.#losses = this.createLosses()
    this.settlement = this.createSettlement()
    const dueTimer = this.createTimer(() => {
      this.dispatcher.tickInAnyCase()
    })
    const memoryTimer = this.createTimer(() => {
      this.dispatcher.wake()
    })
    const parts = { ...this.shared(), claims, dueTimer, memoryTimer }
    this.#feeder = new Feeder({ ...parts, settlement: this.settlement, abortGrace })
    this.#poolSize = new PoolSize({ ...parts, feeder: this.#feeder })
    const upkeep = new Upkeep({ ...parts, queue: new Housekeeping(tasks, owner, taskTypes) })
    this.dispatcher = new Dispatcher({ ...parts, feeder: this.#feeder, poolSize: this.#poolSize, upkeep })
    this.leases.onLost(claim => void this.#losses.lost(claim))
  }

  nudged(task: Nudge): void {
    this.#unknownTypes.warnOf(task.taskType)
    this.#feed.ignore(task._id)
    this.dispatcher.nudge(task)
  }

  nudgedInMemory(task: Nudge): void {
    this.#unknownTypes.warnOf(task.taskType)
    this.dispatcher.wake()
  }

  async take(task: Task): Promise<boolean> {
    // For a due date that was given, the database's clock decides.
    const isDue = task.dueDate.getTime() === task.createdAt.getTime()
    const isNext = isDue && this.#definitions.has(task.taskType) && this.dispatcher.isIdle
    const isTaken = isNext && (await this.#feeder.insert(task))
    // Its worker may be gone by now.
    if (isTaken) this.dispatcher.wake()
    return isTaken
  }

  cancelled({ task, token }: Cancelled): void {
    if (token === undefined) void this.#events.tellCancelled(task)
    else this.#cutShort(token)
  }

  /** What several parts need. Not before all of these are there. */
  private shared() {
    return {
      definitions: this.#definitions,
      events: this.#events,
      feed: this.#feed,
      leases: this.leases,
      log: this.#log,
      losses: this.#losses,
      memory: memoryQueue,
      options: this.#options,
      pool: this.pool,
    }
  }

  private createTimer(due: () => void): DueTimer {
    const near = () => {
      this.#poolSize.growAhead()
    }
    return new DueTimer({ due, near }, () => this.pool.bootTime)
  }

  private createLosses(): Losses {
    return new Losses({
      leases: this.leases,
      events: this.#events,
      log: this.#log,
      abort: (claim, reason) => {
        this.pool.abort(claim, reason, this.#options.abortGrace)
      },
    })
  }

  private createFeed(tasks: RawCollection, taskTypes: readonly string[]): ChangeFeed {
    return new ChangeFeed(tasks, taskTypes, {
      opened: () => {
        this.dispatcher.tickInAnyCase()
      },
      added: task => {
        this.dispatcher.nudge(task)
      },
      changed: dueDate => {
        if (dueDate === undefined) this.dispatcher.mayClaim()
        else this.dispatcher.dueIn(Number(dueDate) - Date.now(), false)
      },
      postponed: () => {
        this.dispatcher.tickInAnyCase()
      },
      cancelled: this.#cutShort,
      failed: (error, isFinal) => {
        this.#log.warn(
          `cannot follow the changes that other processes make, so they are found at each tick only` +
            (isFinal ? ' (MongoDB has change streams in replica sets)' : ', trying again') +
            `: ${messageOf(error)}`,
        )
      },
    })
  }

  private createSettlement(): Settlement {
    return new Settlement({
      ...this.shared(),
      maxCrashes: this.#options.maxCrashes,
      givenBack: () => {
        this.dispatcher.wake()
      },
      retriedIn: delay => {
        this.dispatcher.dueIn(delay, true)
      },
    })
  }

  private createPool(ownerKey: string): Pool {
    const { port, maxAvailableWorkers, tasksPerWorker, maxJobsPerWorker, maxWorkerMemory } = this.#options
    return new Pool(
      {
        port,
        size: maxAvailableWorkers,
        slots: tasksPerWorker,
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
        this.dispatcher.wake()
      },
      outcome: (claim, outcome, aborted) => {
        this.settlement.settle(claim, outcome, aborted)
      },
      returned: (claim, reason) => {
        this.#feeder.returned(claim, reason)
      },
      question: question => void consult(messageBroker, question, this.#losses.isValid(question.claim), this.#log),
      nudged: task => {
        this.nudged(task)
      },
      cancelled: this.#cutShort,
      died: (claim, death, aborted) => {
        this.settlement.died(claim, death, aborted)
      },
    }
  }
}

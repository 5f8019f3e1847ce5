/** Puts the parts of a master together; nothing runs before it is started. */
import { MongoInternals } from 'meteor/mongo'
import { Random } from 'meteor/random'
import type { Log } from '../../common/log'
import type { ResolvedOptions } from '../../common/options'
import type { Definitions } from '../../common/task-map'
import type { Cancelled } from '../queue/claim'
import { Claims } from '../queue/claims'
import { Housekeeping } from '../queue/housekeeping'
import { currentOwner, keyOf } from '../queue/owner'
import { TaskQueue, listeners, memoryQueue } from '../queue/task-queue'
import type { SessionSource } from '../queue/updates'
import type { Nudge, WakeUpListener } from '../queue/wake-up'
import { consult } from './broker'
import { Dispatcher } from './dispatcher'
import { Events } from './events'
import { Feeder } from './feeder'
import { forkServer } from './fork-server'
import { Leases } from './leases'
import { Losses } from './losses'
import { Pool } from './pool'
import type { PoolEvents } from './pool-options'
import { Settlement, type SettlementParts } from './settlement'
import { UnknownTypes } from './unknown-types'
import { Upkeep } from './upkeep'

export class Parts implements WakeUpListener {
  readonly leases: Leases
  readonly pool: Pool
  readonly settlement: Settlement
  readonly dispatcher: Dispatcher
  readonly #options: ResolvedOptions
  readonly #log: Log
  readonly #events: Events
  readonly #losses: Losses
  readonly #feeder: Feeder
  readonly #unknownTypes: UnknownTypes

  constructor(definitions: Definitions, options: ResolvedOptions, log: Log) {
    const { leaseDuration, keepFailed, abortGrace } = options
    const owner = currentOwner()
    const taskTypes = [...definitions.keys()]
    const tasks = TaskQueue.rawCollection()
    const claims = new Claims(tasks, mongoClient(), owner, { taskTypes, leaseDuration, keepFailed })
    this.#options = options
    this.#log = log
    this.#unknownTypes = new UnknownTypes(definitions, log)
    this.#events = new Events(listeners, log)
    this.leases = new Leases(claims, leaseDuration, () => Random.id(), log)
    this.pool = this.createPool(keyOf(owner))
    const { leases, pool } = this
    const shared = { definitions, memory: memoryQueue, leases, pool, options, log }
    this.#losses = this.createLosses()
    const losses = this.#losses
    this.settlement = this.createSettlement(shared)
    this.#feeder = new Feeder({ ...shared, losses, settlement: this.settlement, abortGrace })
    const upkeep = new Upkeep(new Housekeeping(tasks, owner, taskTypes), log)
    this.dispatcher = new Dispatcher({ ...shared, claims, feeder: this.#feeder, upkeep })
    leases.onLost(claim => void this.#losses.lost(claim))
  }

  nudged({ taskType, priority }: Nudge): void {
    this.#unknownTypes.warnOf(taskType)
    this.dispatcher.nudge(priority)
  }

  cancelled({ task, token }: Cancelled): void {
    if (token === undefined) void this.#events.tellCancelled(task)
    else this.cutShort(token)
  }

  /** A claim that is not here is told of by the master that has it. */
  private cutShort(token: string): void {
    const claim = this.leases.claimWith(token) ?? this.pool.claimWith(token)
    if (claim !== undefined) void this.#losses.lost(claim, 'cancelled')
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

  private createSettlement(shared: Pick<SettlementParts, 'definitions' | 'leases' | 'log'>): Settlement {
    return new Settlement({
      ...shared,
      losses: this.#losses,
      events: this.#events,
      maxCrashes: this.#options.maxCrashes,
      givenBack: () => {
        this.dispatcher.wake()
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
      outcome: (claim, outcome, aborted) => void this.settlement.settle(claim, outcome, aborted),
      returned: (claim, reason) => {
        this.#feeder.returned(claim, reason)
      },
      question: question => void consult(messageBroker, question, this.#losses.isValid(question.claim), this.#log),
      nudged: task => {
        this.nudged(task)
      },
      cancelled: token => {
        this.cutShort(token)
      },
      died: (claim, death, aborted) => void this.settlement.died(claim, death, aborted),
    }
  }
}

/** Meteor's types do not know its driver's client. */
function mongoClient(): SessionSource {
  const { mongo } = MongoInternals.defaultRemoteCollectionDriver() as unknown as { mongo: { client: SessionSource } }
  return mongo.client
}

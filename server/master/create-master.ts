import type { Log } from '../../common/log'
import type { ResolvedOptions } from '../../common/options'
import { inOwnContext } from '../../common/own-context'
import type { DeclaredSchedule } from '../../common/schedules'
import type { Task } from '../../common/task'
import type { Definitions } from '../../common/task-map'
import { forkServer } from '../pool/fork/fork-server'
import { Pool } from '../pool/pool'
import { ChangeFeed } from '../queue/mongo/feeds/change-feed'
import { MongoClaims } from '../queue/mongo/claims/claim'
import { MongoMaintenance } from '../queue/mongo/maintenance'
import { currentOwner, keyOf } from '../queue/mongo/documents/owner'
import { MongoSettler } from '../queue/mongo/claims/settle'
import {
  listeners,
  memoryQueue as memory,
  queue as queueOfProcess,
  retention,
  scheduleSets,
  schedules,
  schemas,
  signals,
  storedPauses,
  storedTasks,
  waiters,
} from '../queue/instances'
import { Admission } from './claims/admission'
import { Claims } from './claims/claims'
import { Events } from './claims/events'
import { Outbox } from './claims/outbox'
import { Outcomes } from './claims/outcomes'
import { Reports } from './claims/reports'
import { Settler } from './claims/settler'
import { Assigner } from './dispatch/assigner'
import { Dispatcher } from './dispatch/dispatcher'
import { DueTimer } from './dispatch/due-timer'
import { LocalQueue } from './dispatch/local-queue'
import { Scaling } from './dispatch/scaling'
import { AnswerMonitor } from './maintenance/answer-monitor'
import { Maintenance } from './maintenance/maintenance'
import { UnknownTypes } from './maintenance/unknown-types'
import { Master } from './master'
import { Outage } from './outage'
import { Reactions } from './reactions'
import { Ticker } from './schedules/ticker'
import { testMode } from '../testing/mode'

/** Builds a master and connects its parts; nothing runs before it is started. */
// eslint-disable-next-line max-lines-per-function -- a list of the parts and of their connections, without a branch
export function createMaster(
  definitions: Definitions,
  options: ResolvedOptions,
  log: Log,
  declared: readonly DeclaredSchedule[] | undefined,
): Master {
  const { abortGrace, leaseDuration, maxCrashes, messageBroker } = options
  const taskTypes = [...definitions.keys()]
  const owner = currentOwner()
  const answers = new AnswerMonitor(log)
  const tasks = answers.watchWrites(storedTasks())

  // The queue.
  const admission = new Admission(definitions, !options.inMemoryOnly)
  const events = new Events(listeners, waiters, log)
  const queue = new MongoClaims(tasks, owner, { taskTypes, leaseDuration, listener: events, rooms: admission })
  const feed = new ChangeFeed(tasks, taskTypes)

  // Its claims, and what becomes of them.
  const claims = new Claims({ admission, outage: new Outage(log, 'renewals'), queue, leaseDuration })
  const claimStore = new MongoSettler(tasks, retention)
  const outbox = new Outbox(claimStore, claims, log)
  const reports = new Reports({ events, memory, store: claimStore })
  const settler = new Settler({ claims, events, log, memory, outbox })
  const outcomes = new Outcomes({ definitions, events, log, maxCrashes, settler })

  // The workers, and who sends them jobs.
  const pool = createPool(options, keyOf(owner), log)
  const [dueTimer, memoryTimer] = [new DueTimer(pool), new DueTimer(pool)]
  const localQueue = new LocalQueue({ admission, claims, feed, memory, outcomes, pool })
  const assigner = new Assigner({ abortGrace, claims, definitions, localQueue, memory, outcomes, pool })
  const scaling = new Scaling({ dueTimer, localQueue, memory, memoryTimer, options, pool, queue })
  const outage = new Outage(log, 'queue')
  const store = new MongoMaintenance(tasks, { taskTypes, retention, pauses: storedPauses(), listener: events })
  const unknownTypes = new UnknownTypes({ definitions, log, queue: store })
  const maintenance = new Maintenance({
    ...{ admission, answers, claims, dueTimer, feed, log, outage, queue: store, unknownTypes },
  })
  const dispatcher = new Dispatcher({
    ...{ admission, assigner, dueTimer, feed, localQueue, maintenance, memory, memoryTimer, options, outage },
    ...{ pool, scaling },
  })

  const ticker = createTicker(options, declared, log, outage)

  // The events of all these parts, and who reacts to them.
  const reactions = new Reactions({
    ...{ abortGrace, admission, claims, dispatcher, events, feed, localQueue, log, maintenance, messageBroker },
    ...{ feedOutage: new Outage(log, 'feed'), outcomes, pool, reports, settler, ticker, unknownTypes, waiters },
  })
  for (const part of [admission, claims, feed, maintenance, settler]) part.listen(reactions)
  dueTimer.listen({ taskDue: () => maintenance.wake(), taskNear: () => scaling.growAhead() })
  memoryTimer.listen({ taskDue: () => dispatcher.wake(), taskNear: () => scaling.growAhead() })
  memory.open((task, token) => reactions.inMemoryTaskRemoved(task, token), admission)
  signals.listenAsMaster(reactions)
  return new Master({ admission, claims, dispatcher, log, options, pool, reactions, settler, ticker })
}

/** @returns undefined for a master that has no schedules, or runs no persistent tasks */
function createTicker(
  { inMemoryOnly, leaseDuration, refreshRate }: ResolvedOptions,
  declared: readonly DeclaredSchedule[] | undefined,
  log: Log,
  outage: Outage,
): Ticker | undefined {
  if (declared === undefined || inMemoryOnly) return undefined
  const add = (task: Task) => queueOfProcess.add(task, false)
  const isTest = () => testMode.fork !== undefined
  return new Ticker({
    ...{ add, app: schedules.app, declared, isTest, leaseDuration, log, outage, refreshRate, schemas },
    sets: scheduleSets,
  })
}

function createPool(options: ResolvedOptions, ownerKey: string, log: Log): Pool {
  const { maxAvailableWorkers, maxJobsPerWorker, maxWorkerMemory, port, startTimeout, workerConcurrency } = options
  return new Pool({
    port,
    size: maxAvailableWorkers,
    slots: workerConcurrency,
    maxJobs: maxJobsPerWorker,
    maxMemory: maxWorkerMemory,
    startTimeout,
    priority: options.workerPriority,
    // The messages of a worker come in the context of its fork.
    fork: workerPort =>
      inOwnContext(() => testMode.fork?.() ?? forkServer(workerPort, ownerKey, options.workerExecArgv)),
    log,
  })
}

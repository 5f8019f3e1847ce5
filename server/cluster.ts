import { Meteor } from 'meteor/meteor'
import { type Encoded, encode } from '../common/pipe/codec'
import { WrongProcessError } from '../common/errors'
import { checkNames, wrongValue } from '../common/invalid'
import { createLog } from '../common/log'
import { type ClusterOptions, type Notice, type ResolvedOptions, checkOption, resolveOptions } from '../common/options'
import { isPlainObject } from '../common/plain'
import { type DeclaredSchedule, resolveSchedules } from '../common/schedules'
import type { ClusterStats } from '../common/stats'
import type { WireSignal } from '../common/pipe/protocol'
import type { Task, TaskSignal } from '../common/task'
import { type Definitions, type TaskMap, resolveTaskMap } from '../common/task-map'
import { afterStartup, onListening } from './boot'
import { availableCpus, machine } from './machine'
import { createMaster } from './master/create-master'
import type { Master } from './master/master'
import { results, retention, schedules, schemas, signals, waiters } from './queue/instances'
import { checkSetSize } from './queue/schedules/stored-sets'
import { role } from './role'
import { testMode } from './testing/mode'
import { AddedTasks } from './worker/added-tasks'
import { JobRunner } from './worker/job-runner'
import { keepPortFree } from './worker/own-port'
import { ParentLink } from './worker/parent-link'

/** In a worker, the pipe to its master; undefined on the master. */
// Invariant 8: opened when this file is loaded, so that a worker exits with its master even while it boots.
const link = role === 'worker' ? new ParentLink() : undefined

let hasInstance = false

/**
 * Runs tasks in workers, which are forked copies of this server. On the master, the cluster dispatches due tasks to the
 * workers; in a worker, it runs them. Create it once in each process, at the top level of the server's code.
 */
export class Cluster<Map extends TaskMap = TaskMap> {
  /** The functions of this app's tasks, by `taskType`. */
  readonly taskMap: Readonly<Map>
  /** Undefined in a worker. */
  readonly #master: Master | undefined
  readonly #stopTimeout: number

  /** Whether this process is the master. It may be called at any time, also before `new Cluster`. */
  static isMaster(): boolean {
    return role === 'master'
  }

  /** The highest number of workers at once: the CPUs that this process may use, within a container's quota. */
  static maxWorkers(): number {
    return availableCpus()
  }

  /**
   * @param taskMap the functions of this app's tasks, by `taskType`: the master claims these types and no others
   * @param options override those in `Meteor.settings.packages['nschwarz:cluster']`
   * @throws InvalidArgumentError naming the option, what was given and what is allowed
   * @throws WrongProcessError if this process already has a cluster
   */
  constructor(taskMap: Map, options: ClusterOptions = {}) {
    const definitions = resolveTaskMap(taskMap)
    const { options: resolved, notice } = resolveOptions(settings(), options, machine())
    const declared = declaredSchedules(resolved, definitions)
    if (hasInstance) {
      throw new WrongProcessError('there is a Cluster in this process already; put all tasks in one task map.')
    }
    hasInstance = true
    this.taskMap = taskMap
    this.#stopTimeout = resolved.stopTimeout
    retention.configure(definitions, resolved.keepFailed)
    schemas.configure(definitions)
    schedules.configure(resolved.app, declared)
    // Invariant 7: a worker has no master, so it never dispatches, forks or releases tasks.
    if (link !== undefined) startWorker(definitions, resolved, link)
    else this.#master = startMaster(definitions, resolved, notice, declared)
  }

  /**
   * Starts dispatching, if `autoInitialize` is false or after `stop`. Does nothing if the master has started already,
   * or in a worker.
   */
  initialize(): void {
    start(this.#master)
  }

  /**
   * Stops dispatching and closes all workers. Running jobs may finish within `timeout`. Then their `signal` is aborted,
   * and jobs that have not finished after another `abortGrace` are killed. Their tasks are requeued, for this or
   * another master. In-memory tasks wait for `initialize`. In a worker this does nothing.
   *
   * @param options.timeout milliseconds, an integer from 0 to 2^31 - 1; 0 kills running jobs at once. Default: the
   * option `stopTimeout`
   * @throws InvalidArgumentError (rejects)
   */
  async stop(options: { readonly timeout?: number } = {}): Promise<void> {
    const { timeout = this.#stopTimeout } = checkStopOptions(options)
    await this.#master?.stop(timeout)
  }

  /**
   * What the master and its workers do now. In a worker there is nothing to report.
   *
   * @returns after half a second at most: a worker that blocks its event loop does not answer
   */
  async stats(): Promise<ClusterStats> {
    return (await this.#master?.stats()) ?? { workers: [], buffered: 0, paused: [] }
  }

  /**
   * Changes how often the master polls the queue. In a worker this does nothing.
   *
   * @param refreshRate milliseconds between two polls: an integer from 1 to 2^31 - 1
   * @throws InvalidArgumentError
   */
  setRefreshRate(refreshRate: number): void {
    checkOption('cluster.setRefreshRate', 'refreshRate', refreshRate)
    if (this.#master === undefined) return
    this.#master.setRefreshRate(refreshRate)
    waiters.setPollEvery(refreshRate)
  }
}

const WEB_ONLY = 'no task runs in this process before cluster.initialize() is called (autoInitialize is false)'

const STARTUP_IS_SLOW =
  'a Meteor.startup hook has not returned for 10 s, and no task runs before all hooks have returned. A hook that waits ' +
  'for an event of a task waits for ever: wait with TaskQueue.run or TaskQueue.result, or call cluster.initialize() first.'

function checkStopOptions(options: unknown): { readonly timeout?: number } {
  if (!isPlainObject(options)) {
    const hint = typeof options === 'number' ? `Use { timeout: ${String(options)} }.` : ''
    throw wrongValue('cluster.stop', options, 'an object { timeout }', hint)
  }
  checkNames('cluster.stop: ', options, 'option', ['timeout'])
  if (options.timeout !== undefined) checkOption('cluster.stop', 'stopTimeout', options.timeout, 'timeout')
  return options
}

// In an application's test with `testing.mode('manual')`, only the helpers start the master.

function start(master: Master | undefined): void {
  if (!testMode.isManual) master?.start()
}

function startFirst(master: Master): void {
  if (!testMode.isManual) master.startFirst()
}

/** @returns undefined without the option `schedules`; an empty array, for `{}`, removes those that are stored */
function declaredSchedules(options: ResolvedOptions, definitions: Definitions): DeclaredSchedule[] | undefined {
  if (options.schedules === null) return undefined
  const declared = resolveSchedules(options.schedules, definitions)
  checkSetSize(declared)
  return declared
}

function startMaster(
  definitions: Definitions,
  options: ResolvedOptions,
  notice: Notice | undefined,
  declared: DeclaredSchedule[] | undefined,
): Master {
  const log = createLog(options.logs)
  if (notice !== undefined && (options.autoInitialize || notice.level === 'warn')) log[notice.level](notice.text)
  if (!options.autoInitialize) log.info(WEB_ONLY)
  const master = createMaster(definitions, options, log, declared)
  testMode.cluster = { definitions, master, options }
  waiters.useMaster(
    {
      isRunning: () => master.isRunning,
      holds: _id => master.holds(_id),
      // A startup hook may wait for a task: dispatching must not wait for the end of all hooks.
      waitBegins: () => {
        if (options.autoInitialize) startFirst(master)
      },
    },
    options.refreshRate,
  )
  if (options.autoInitialize) {
    const warn = () => {
      if (!master.isRunning) log.warn(STARTUP_IS_SLOW)
    }
    afterStartup(() => {
      startFirst(master)
    }, warn)
  }
  return master
}

function startWorker(definitions: Definitions, options: ResolvedOptions, link: ParentLink): void {
  const added = new AddedTasks(link)
  signals.passOn({
    addClaimed: task => added.offer(task),
    tasksAdded: tasks => {
      link.send({ kind: 'tasksAdded', tasks: tasks.map(toWireSignal), areNew: true })
    },
    taskRetried: task => {
      link.send({ kind: 'tasksAdded', tasks: [toWireSignal(task)], areNew: false })
    },
    taskCancelled: ({ task, token }) => {
      if (token === undefined) link.send({ kind: 'taskCancelled', task: encodeTask(task) })
      else link.send({ kind: 'cancelRequested', token })
    },
    typePaused: (taskType, isPaused) => {
      link.send({ kind: 'typePaused', taskType, isPaused })
    },
  })
  const runner = new JobRunner(definitions, link, added, createLog(options.logs), {
    slots: options.workerConcurrency,
    reportsMemory: options.maxWorkerMemory !== null,
  })
  results.useSource(runner.endSource)
  Meteor.startup(keepPortFree)
  onListening(() => {
    runner.start()
    added.open()
  })
}

function toWireSignal({ _id, taskType, priority, state, dueDate }: TaskSignal): WireSignal {
  return { _id, taskType, priority, state, dueDate: Number(dueDate) }
}

/** Other code may have written data that cannot be sent. The event is then sent without the data. */
function encodeTask(task: Task): Encoded {
  try {
    return encode(task)
  } catch {
    return encode({ _id: task._id, taskType: task.taskType, state: task.state })
  }
}

function settings(): unknown {
  const { packages } = Meteor.settings as { packages?: Record<string, unknown> }
  return packages?.['nschwarz:cluster']
}

/** Exits if this worker has no cluster: it would otherwise never be ready, and nothing would say why. */
function requireInstance(): void {
  if (hasInstance) return
  createLog('error').error(
    'this worker has no Cluster: `new Cluster(taskMap)` must be reached in workers too, not only where isMaster() is true.',
  )
  process.exit(1)
}

if (role === 'worker') onListening(requireInstance)

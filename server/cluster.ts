import { Meteor } from 'meteor/meteor'
import { type Encoded, encode } from '../common/pipe/codec'
import { WrongProcessError } from '../common/errors'
import { numberHint, unknownName, wrongValue } from '../common/invalid'
import { createLog } from '../common/log'
import {
  type ClusterOptions,
  type Notice,
  type ResolvedOptions,
  STOP_TIMEOUT_ALLOWED,
  checkOption,
  isStopTimeout,
  resolveOptions,
} from '../common/options'
import { isPlainObject } from '../common/plain'
import type { Task } from '../common/task'
import { type Definitions, type TaskMap, resolveTaskMap } from '../common/task-map'
import { afterStartup, onListening } from './boot'
import { availableCpus, machine } from './machine'
import { createMaster } from './master/create-master'
import type { Master } from './master/master'
import { retention, signals } from './queue/task-queue'
import { role } from './role'
import { AddedTasks } from './worker/added-tasks'
import { JobRunner } from './worker/job-runner'
import { keepPortFree } from './worker/own-port'
import { ParentLink } from './worker/parent-link'

/** In a worker, from the moment this file is loaded: the pipe to its master, and its life. */
const link = role === 'worker' ? new ParentLink() : undefined

let hasInstance = false

/**
 * The cluster, in whichever process it is created: on the master it dispatches due tasks to workers, which are forked
 * copies of this server; in a worker it runs them. Create it once, at the top level of the server's code, in both.
 */
export class Cluster<Map extends TaskMap = TaskMap> {
  /** The functions of this app's tasks, by `taskType`. */
  readonly taskMap: Readonly<Map>
  /** In a worker there is none. */
  readonly #master: Master | undefined
  readonly #stopTimeout: number

  /** Whether this process is the master: right from the start, before any `new Cluster`. */
  static isMaster(): boolean {
    return role === 'master'
  }

  /** How many workers there can be at once: the cpus that this process may use, a container's quota considered. */
  static maxWorkers(): number {
    return availableCpus()
  }

  /**
   * @param taskMap the functions of this app's tasks, by `taskType`: the master claims these types and no others
   * @param options override those in `Meteor.settings.packages['nschwarz:cluster']`
   * @throws InvalidArgumentError naming the option, what was given and what is allowed
   * @throws WrongProcessError when this process has a cluster already
   */
  constructor(taskMap: Map, options: ClusterOptions = {}) {
    const definitions = resolveTaskMap(taskMap)
    const { options: resolved, notice } = resolveOptions(settings(), options, machine())
    if (hasInstance) {
      throw new WrongProcessError('there is a Cluster in this process already; put all tasks in one task map.')
    }
    hasInstance = true
    this.taskMap = taskMap
    this.#stopTimeout = resolved.stopTimeout
    retention.keepFailed = resolved.keepFailed
    if (link !== undefined) startWorker(definitions, resolved, link)
    else this.#master = startMaster(definitions, resolved, notice)
  }

  /**
   * Starts to dispatch, where `autoInitialize` is false or after `stop`. Once started, and in a worker, it does
   * nothing.
   */
  initialize(): void {
    this.#master?.start()
  }

  /**
   * Stops to dispatch, and closes all workers. Jobs that are running may go on until `timeout`; then their `signal` is
   * aborted, and what has not ended after `abortGrace` is killed. Their tasks are released, for this or another master.
   * In-memory tasks wait for `initialize`. In a worker it does nothing.
   *
   * @param options.timeout milliseconds, an integer from 0 to 2^31 - 1; 0 kills running jobs at once. Default:
   * `stopTimeout`
   * @throws InvalidArgumentError (rejects)
   */
  async stop(options: { readonly timeout?: number } = {}): Promise<void> {
    const { timeout = this.#stopTimeout } = checkStopOptions(options)
    await this.#master?.stop(timeout)
  }

  /**
   * Changes the pause between two looks at the queue. In a worker it does nothing.
   *
   * @param refreshRate milliseconds: an integer from 1 to 2^31 - 1
   * @throws InvalidArgumentError
   */
  setRefreshRate(refreshRate: number): void {
    checkOption('cluster.setRefreshRate', 'refreshRate', refreshRate)
    this.#master?.setRefreshRate(refreshRate)
  }
}

const STARTUP_IS_SLOW =
  'a Meteor.startup hook has not returned for 10 s, and no task runs before all hooks have returned. A hook that waits ' +
  'for a task waits for ever: call cluster.initialize() first, or do not await the task in the hook.'

function checkStopOptions(options: unknown): { readonly timeout?: number } {
  if (!isPlainObject(options)) {
    const hint = typeof options === 'number' ? `Use { timeout: ${String(options)} }.` : ''
    throw wrongValue('cluster.stop', options, 'an object { timeout }', hint)
  }
  const { timeout, ...others } = options
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) throw unknownName(`cluster.stop: ${unknown}`, unknown, 'option', ['timeout'])
  if (timeout !== undefined && !isStopTimeout(timeout)) {
    throw wrongValue('cluster.stop: timeout', timeout, STOP_TIMEOUT_ALLOWED, numberHint(timeout))
  }
  return options
}

function startMaster(definitions: Definitions, options: ResolvedOptions, notice: Notice | undefined): Master {
  const log = createLog(options.logs)
  if (notice !== undefined) log[notice.level](notice.text)
  const master = createMaster(definitions, options, log)
  if (options.autoInitialize) {
    const warn = () => {
      log.warn(STARTUP_IS_SLOW)
    }
    afterStartup(() => {
      master.start()
    }, warn)
  }
  return master
}

function startWorker(definitions: Definitions, options: ResolvedOptions, link: ParentLink): void {
  const added = new AddedTasks(link)
  signals.passOn({
    addClaimed: task => added.offer(task),
    taskAdded: ({ _id, taskType, priority, dueDate }) => {
      link.send({ kind: 'taskAdded', _id, taskType, priority, dueDate: Number(dueDate) })
    },
    taskCancelled: ({ task, token }) => {
      if (token === undefined) link.send({ kind: 'taskCancelled', task: encodeTask(task) })
      else link.send({ kind: 'cancelRequested', token })
    },
  })
  const runner = new JobRunner(definitions, link, added, createLog(options.logs), {
    slots: options.workerConcurrency,
    tellsMemory: options.maxWorkerMemory !== null,
  })
  Meteor.startup(keepPortFree)
  onListening(() => {
    runner.start()
    added.open()
  })
}

/** Somebody else may have written data that cannot be sent; the event goes without it then. */
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

/** Without one, a worker would be forked, never get ready, and nobody would know why. */
function requireInstance(): void {
  if (hasInstance) return
  createLog('error').error(
    'this worker has no Cluster: `new Cluster(taskMap)` must be reached in workers too, not only where isMaster() is true.',
  )
  process.exit(1)
}

if (role === 'worker') onListening(requireInstance)

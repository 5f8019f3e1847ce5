import { Meteor } from 'meteor/meteor'
import { InvalidArgumentError, WrongProcessError } from '../common/errors'
import type { TaskMap } from '../common/ipc'
import { createLog } from '../common/log'
import { type ClusterOptions, type ResolvedOptions, checkOption, resolveOptions } from '../common/options'
import { isPlainObject } from '../common/plain'
import { afterStartup, onListening } from './boot'
import { availableCpus } from './cpus'
import type { Dispatcher } from './master/dispatcher'
import { createMaster } from './master/master'
import { role } from './role'
import { JobRunner } from './worker/job-runner'
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
  readonly #master: Dispatcher | undefined

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
    checkTaskMap(taskMap)
    const { options: resolved, warnings } = resolveOptions(settings(), options, availableCpus())
    if (hasInstance) {
      throw new WrongProcessError('there is a Cluster in this process already; put all tasks in one task map.')
    }
    hasInstance = true
    this.taskMap = taskMap
    if (link !== undefined) startWorker(taskMap, resolved, link)
    else this.#master = startMaster(taskMap, resolved, warnings)
  }

  /** Starts to dispatch, where `autoInitialize` is false. Once started, and in a worker, it does nothing. */
  initialize(): void {
    this.#master?.start()
  }

  /**
   * Changes the pause between two looks at the queue. In a worker it does nothing.
   *
   * @param refreshRate milliseconds: an integer from 1 to 2^31 - 1
   * @throws InvalidArgumentError
   */
  setRefreshRate(refreshRate: number): void {
    checkOption('setRefreshRate', 'refreshRate', refreshRate)
    this.#master?.setRefreshRate(refreshRate)
  }
}

function startMaster(taskMap: TaskMap, options: ResolvedOptions, warnings: readonly string[]): Dispatcher {
  const log = createLog(options.logs)
  for (const warning of warnings) log.warn(warning)
  const master = createMaster(taskMap, options, log)
  if (options.autoInitialize) {
    afterStartup(() => {
      master.start()
    })
  }
  return master
}

function startWorker(taskMap: TaskMap, options: ResolvedOptions, link: ParentLink): void {
  const runner = new JobRunner(taskMap, link, createLog(options.logs))
  onListening(() => {
    runner.start()
  })
}

function settings(): unknown {
  const { packages } = Meteor.settings as { packages?: Record<string, unknown> }
  return packages?.['nschwarz:cluster']
}

function checkTaskMap(taskMap: unknown): void {
  if (!isPlainObject(taskMap)) {
    throw new InvalidArgumentError('new Cluster: taskMap', taskMap, 'an object of functions, by taskType')
  }
  for (const [taskType, run] of Object.entries(taskMap)) {
    if (typeof run !== 'function') throw new InvalidArgumentError(`new Cluster: taskMap.${taskType}`, run, 'a function')
  }
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

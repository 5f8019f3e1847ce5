import { checkReadable, millisecondsHint, nameHint, namesOf, numberHint, unknownName, wrongValue } from './invalid'
import type { MessageBroker } from './ipc'
import type { LogTarget } from './log'
import { isPlainObject } from './plain'
import { MAX_TIMER_MS, TIMER_ALLOWED, type TaskPolicy, isIntegerWithin, isTimer, isCount } from './policy'
import type { Schedule } from './schedules'
import { counted } from './text'

/**
 * The options of `new Cluster(taskMap, options)`. All but functions may also be set in
 * `Meteor.settings.packages['nschwarz:cluster']`.
 */
export interface ClusterOptions {
  /**
   * The first port to try for a worker's own web server, on loopback; 1 to 65535. The next worker takes the next port.
   * Default 3008.
   */
  readonly port?: number
  /**
   * How many workers may live at once, from 1. A number above `Cluster.maxWorkers()` is clamped to it. Default:
   * `Cluster.maxWorkers()`; in a container with a memory limit, at most as many as fit into that limit beside this
   * process.
   */
  readonly maxAvailableWorkers?: number
  /** How many jobs a worker runs at once, from 1. More than one is for functions that mostly wait. Default 1. */
  readonly workerConcurrency?: number
  /** Milliseconds between two polls of the queue, 1 to 2^31 - 1. Default 1000. */
  readonly refreshRate?: number
  /** Runs in-memory tasks only, and leaves the persistent ones to other masters. Default false. */
  readonly inMemoryOnly?: boolean
  /** Answers tasks that call `toggleIPC`; it is called on the master. Default null: such a call fails in the task. */
  readonly messageBroker?: MessageBroker | null
  /**
   * Where the log goes: to the console (`'all'`, or `'error'` for warnings and errors only), or to a function that is
   * called with each entry, in the process in which it arises. Default `'all'`.
   */
  readonly logs?: LogTarget
  /**
   * How long idle workers are kept: `'always'` (all of them, from the start on), or milliseconds, from 1. Default null:
   * until the next poll that finds no work.
   */
  readonly keepAlive?: 'always' | number | null
  /**
   * Milliseconds for which a claim is valid without being renewed, 100 to 2^31 - 1. The master renews it three times in
   * a lease. This bounds how long the tasks of a crashed master wait for another. Default 15000.
   */
  readonly leaseDuration?: number
  /**
   * A task fails once this many workers have died while they ran it. From 1 (the task is never run again). Default 3.
   */
  readonly maxCrashes?: number
  /**
   * Milliseconds that a job has to finish after its `signal` was aborted, 1 to 2^31 - 1; then its worker is killed.
   * Default 5000.
   */
  readonly abortGrace?: number
  /**
   * Milliseconds within which a worker that runs no job must start one that it was sent, 100 to 2^31 - 1. Otherwise it
   * is replaced, and the task runs elsewhere. Default 15000.
   */
  readonly startTimeout?: number
  /**
   * Milliseconds for which failed and cancelled tasks are kept, from 1. Default null: until they are retried or
   * removed. In memory, only the last 1,000 are kept in any case.
   */
  readonly keepFailed?: number | null
  /** Recycles a worker after this many jobs, from 1. Default null: never. */
  readonly maxJobsPerWorker?: number | null
  /**
   * Recycles a worker that has more resident memory than this many megabytes, from 1, once its job has finished.
   * Default null: never.
   */
  readonly maxWorkerMemory?: number | null
  /**
   * Milliseconds for which running jobs may go on after SIGTERM or SIGINT in production, 0 to 2^31 - 1. In the last
   * second they are aborted. Then they are killed, and their tasks are requeued. Default 8000, within the 10 s that
   * Docker grants. In development they are killed at once.
   */
  readonly stopTimeout?: number
  /**
   * The scheduling priority of workers, as a nice value: -20 (highest) to 19 (lowest). Default null: 10 above that of
   * this process, at most 19, so that this process comes before its workers when the CPUs are busy.
   */
  readonly workerPriority?: number | null
  /**
   * Node's flags for workers, after those of this process: `['--max-old-space-size=512']` limits their heap to 512 MB.
   * Default: none.
   */
  readonly workerExecArgv?: readonly string[]
  /**
   * Starts dispatching at startup, after all `Meteor.startup` hooks; otherwise `cluster.initialize()` starts it. With
   * false in the settings a process is web-only: it adds tasks, but runs none. Default true.
   */
  readonly autoInitialize?: boolean
  /**
   * The schedules of this app, by name. A master declares them when it starts to dispatch persistent tasks, and those
   * that are no longer there are removed: with `{}` all of them. Default null: it leaves the schedules as they are, and
   * adds no tasks for them.
   */
  readonly schedules?: { readonly [name: string]: Schedule } | null
  /**
   * The app whose schedules these are: a non-empty string without `/`, the same in all its processes, and in no other
   * app that uses the database. Default null: the environment variable `APP_ID`, which Meteor sets.
   */
  readonly app?: string | null
}

export type ResolvedOptions = { readonly [Name in keyof ClusterOptions]-?: Exclude<ClusterOptions[Name], undefined> }

const STOP_TIMEOUT_ALLOWED = `milliseconds: an integer from 0 to ${String(MAX_TIMER_MS)}`

/** What bounds the number of workers. */
export interface Machine {
  /** How many CPUs this process may use. */
  readonly cpus: number
  /** Megabytes that a container grants this process and its workers; Infinity if there is no limit. */
  readonly memory: number
}

/**
 * Megabytes of this process and of a worker, for the default number of workers. A Meteor server needs more in use than
 * at its start; workers share what the system maps once. The measurements are in docs/guide/workers.md.
 */
const WEB_PROCESS_MB = 256
const WORKER_MB = 192

interface Rule {
  readonly allowed: string
  readonly accepts: (value: unknown) => boolean
  readonly fallback: (machine: Machine) => unknown
  /** What to do about a wrong value: a sentence, or ''. */
  readonly hint: (value: unknown) => string
}

const FROM_100_ALLOWED = `milliseconds: an integer from 100 to ${String(MAX_TIMER_MS)}`

const RULES: { readonly [Name in keyof Required<ClusterOptions>]: Rule } = {
  port: number('an integer from 1 to 65535', value => isIntegerWithin(value, 1, 65_535), 3008),
  maxAvailableWorkers: {
    allowed: 'an integer from 1',
    accepts: isCount,
    fallback: defaultWorkers,
    hint: value => (value === 0 ? 'To run no worker here, use autoInitialize: false.' : numberHint(value, isCount)),
  },
  workerConcurrency: number('an integer from 1', isCount, 1),
  refreshRate: milliseconds(TIMER_ALLOWED, isTimer, 1000),
  inMemoryOnly: rule('true or false', isBoolean, false),
  messageBroker: rule('a function or null', value => value === null || typeof value === 'function', null),
  logs: rule("'all', 'error' or a function", isLogTarget, 'all', () => "Use 'error' for warnings and errors only."),
  keepAlive: rule(
    "'always', milliseconds (an integer from 1), or null",
    value => value === 'always' || isCountOrNull(value),
    null,
    value => (value === true ? "Use 'always'." : millisecondsHint(value, isCount)),
  ),
  leaseDuration: milliseconds(FROM_100_ALLOWED, isFrom100, 15_000),
  maxCrashes: number('an integer from 1', isCount, 3),
  abortGrace: milliseconds(TIMER_ALLOWED, isTimer, 5000),
  startTimeout: milliseconds(FROM_100_ALLOWED, isFrom100, 15_000),
  keepFailed: milliseconds('milliseconds (an integer from 1), or null', isCountOrNull, null),
  maxJobsPerWorker: number('an integer from 1, or null', isCountOrNull, null),
  maxWorkerMemory: number('megabytes: an integer from 1, or null', isCountOrNull, null),
  stopTimeout: milliseconds(STOP_TIMEOUT_ALLOWED, isStopTimeout, 8000),
  workerPriority: number('an integer from -20 to 19, or null', isPriorityOrNull, null),
  workerExecArgv: rule("an array of Node's flags, the first of which begins with '-'", isListOfFlags, [], value =>
    typeof value === 'string' ? `Use ['${value}'].` : '',
  ),
  autoInitialize: rule('true or false', isBoolean, true),
  schedules: rule('an object of schedules, by name, or null', isPlainObjectOrNull, null),
  app: rule('a non-empty string without /, or null', isAppOrNull, null),
}

const NAMES = Object.keys(RULES) as (keyof ClusterOptions)[]

/**
 * Merges the options: those of the constructor override the settings, which override the defaults. An option that is
 * undefined counts as not given.
 *
 * @throws InvalidArgumentError naming the option and where it was given
 */
export function resolveOptions(
  settings: unknown,
  given: unknown,
  machine: Machine,
): { readonly options: ResolvedOptions; readonly notice: Notice | undefined } {
  const layers = { ...checkLayer('Meteor.settings', settings), ...checkLayer('new Cluster', given) }
  const resolved = Object.fromEntries(
    NAMES.map(name => [name, layers[name] ?? RULES[name].fallback(machine)]),
  ) as unknown as ResolvedOptions
  const { maxAvailableWorkers } = resolved
  if (layers.maxAvailableWorkers === undefined) {
    return { options: resolved, notice: { level: 'info', text: reasonFor(maxAvailableWorkers, machine) } }
  }
  if (maxAvailableWorkers <= machine.cpus) return { options: resolved, notice: undefined }
  const text =
    `maxAvailableWorkers is ${String(maxAvailableWorkers)}; using ${String(machine.cpus)}, ` +
    'one for each CPU that this process may use'
  return { options: { ...resolved, maxAvailableWorkers: machine.cpus }, notice: { level: 'warn', text } }
}

/** How the number of workers was chosen, for the log. */
export interface Notice {
  readonly level: 'info' | 'warn'
  readonly text: string
}

function defaultWorkers({ cpus, memory }: Machine): number {
  return Math.min(cpus, Math.max(1, Math.floor((memory - WEB_PROCESS_MB) / WORKER_MB)))
}

function reasonFor(workers: number, { cpus, memory }: Machine): string {
  const most = `at most ${counted(workers, 'worker')}`
  const change = '(maxAvailableWorkers changes that)'
  if (workers === cpus) return `${most}, one for each CPU that this process may use ${change}`
  return (
    `${most}: the memory limit of ${String(Math.floor(memory))} MB has room for no more, at ${String(WORKER_MB)} MB a worker ` +
    `and ${String(WEB_PROCESS_MB)} MB for this process; ${counted(cpus, 'CPU')} could be used ${change}`
  )
}

/**
 * @param shown what it is called where it was given
 * @throws InvalidArgumentError when `value` is not allowed for the option `name`
 */
export function checkOption(where: string, name: keyof ClusterOptions, value: unknown, shown: string = name): void {
  const { accepts, allowed, hint } = RULES[name]
  if (!accepts(value)) throw wrongValue(`${where}: ${shown}`, value, allowed, hint(value))
}

function checkLayer(where: string, layer: unknown): ClusterOptions {
  if (layer === undefined) return {}
  if (!isPlainObject(layer)) {
    const hint = typeof layer === 'number' ? `Use { maxAvailableWorkers: ${String(layer)} }.` : ''
    throw wrongValue(`${where}: options`, layer, 'an object', hint)
  }
  checkReadable(`${where}: `, layer)
  const given = Object.entries(layer).filter(([, value]) => value !== undefined)
  for (const [name, value] of given) {
    if (!isOptionName(name)) throw unknownName(`${where}: ${name}`, name, 'option', NAMES, hintOfOption(name))
    checkOption(where, name, value)
  }
  return Object.fromEntries(given)
}

function rule(allowed: string, accepts: Rule['accepts'], fallback: unknown, hint: Rule['hint'] = () => ''): Rule {
  return { allowed, accepts, fallback: () => fallback, hint }
}

function number(allowed: string, accepts: Rule['accepts'], fallback: number | null): Rule {
  return rule(allowed, accepts, fallback, value => numberHint(value, accepts))
}

/** A shorter time would be over before a message has arrived. */
function isFrom100(value: unknown): value is number {
  return isIntegerWithin(value, 100, MAX_TIMER_MS)
}

function milliseconds(allowed: string, accepts: Rule['accepts'], fallback: number | null): Rule {
  return rule(allowed, accepts, fallback, value => millisecondsHint(value, accepts))
}

/** The fields of a task type that are no options of the cluster. */
const POLICY_FIELDS = namesOf<Exclude<keyof TaskPolicy, keyof ClusterOptions>>({
  retries: true,
  backoff: true,
  timeout: true,
  keepDone: true,
})

function hintOfOption(name: string): string {
  return POLICY_FIELDS.includes(name) ? 'It belongs to a task type: { run, … } in the task map.' : nameHint(name, NAMES)
}

function isPlainObjectOrNull(value: unknown): boolean {
  return value === null || isPlainObject(value)
}

function isAppOrNull(value: unknown): boolean {
  return value === null || (typeof value === 'string' && value !== '' && !value.includes('/'))
}

function isListOfFlags(value: unknown): boolean {
  const isFlag = (flag: unknown, index: number) =>
    typeof flag === 'string' && flag !== '' && (index > 0 || flag.startsWith('-'))
  return Array.isArray(value) && value.every(isFlag)
}

function isOptionName(name: string): name is keyof ClusterOptions {
  return Object.hasOwn(RULES, name)
}

function isCountOrNull(value: unknown): boolean {
  return value === null || isCount(value)
}

function isStopTimeout(value: unknown): boolean {
  return isIntegerWithin(value, 0, MAX_TIMER_MS)
}

function isPriorityOrNull(value: unknown): boolean {
  return value === null || isIntegerWithin(value, -20, 19)
}

function isLogTarget(value: unknown): boolean {
  return value === 'all' || value === 'error' || typeof value === 'function'
}

function isBoolean(value: unknown): boolean {
  return typeof value === 'boolean'
}

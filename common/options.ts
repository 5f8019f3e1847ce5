import { InvalidArgumentError } from './errors'
import type { MessageBroker } from './ipc'

/** What `new Cluster(taskMap, options)` takes. All but `messageBroker` may also stand in `Meteor.settings`. */
export interface ClusterOptions {
  /**
   * The first port tried for a worker's own web server, on loopback, 1 to 65535; the next worker takes the next. Default
   * 3008.
   */
  readonly port?: number
  /** How many workers may live at once. Default and upper limit: `Cluster.maxWorkers()`. Values below 1 become 1. */
  readonly maxAvailableWorkers?: number
  /** Milliseconds between two looks at the queue, 1 to 2^31 - 1. Default 1000. */
  readonly refreshRate?: number
  /** Run in-memory tasks only, and leave the persistent ones to others. Default false. */
  readonly inMemoryOnly?: boolean
  /** Answers the tasks that call `toggleIPC`, on the master. Default null: such a call is an error in the task. */
  readonly messageBroker?: MessageBroker | null
  /** `'all'`, or `'error'` for warnings and errors only. Default `'all'`. */
  readonly logs?: 'all' | 'error'
  /**
   * How long workers without work live: `'always'` (all of them, from the start on) or a number of milliseconds
   * (from 1).
   * Default: until the next look at the queue that finds none.
   */
  readonly keepAlive?: 'always' | number | null
  /**
   * Milliseconds for which a claim is valid without being renewed; the master renews three times as often. It bounds how long
   * the tasks of a master that crashed wait for another. From 100; default 15000.
   */
  readonly leaseDuration?: number
  /**
   * How often a worker may die while it runs a task before that task is failed. From 1 (it is never run again); default 3.
   */
  readonly maxCrashes?: number
  /** Start to dispatch at start-up; otherwise when `cluster.initialize()` is called. Default true. */
  readonly autoInitialize?: boolean
}

export type ResolvedOptions = { readonly [Name in keyof ClusterOptions]-?: Exclude<ClusterOptions[Name], undefined> }

/** Longer delays overflow the 32 bits that Node keeps a timer in, and fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1

interface Rule {
  readonly allowed: string
  readonly accepts: (value: unknown) => boolean
  readonly fallback: (cpus: number) => unknown
}

const RULES: { readonly [Name in keyof Required<ClusterOptions>]: Rule } = {
  port: rule('an integer from 1 to 65535', value => isIntegerWithin(value, 1, 65_535), 3008),
  maxAvailableWorkers: {
    allowed: 'an integer',
    accepts: value => Number.isSafeInteger(value),
    fallback: cpus => cpus,
  },
  refreshRate: rule(`milliseconds: an integer from 1 to ${String(MAX_TIMER_MS)}`, isTimer, 1000),
  inMemoryOnly: rule('true or false', isBoolean, false),
  messageBroker: rule('a function or null', value => value === null || typeof value === 'function', null),
  logs: rule("'all' or 'error'", value => value === 'all' || value === 'error', 'all'),
  keepAlive: rule(
    "'always', milliseconds (an integer from 1), or null",
    value => value === null || value === 'always' || isIntegerWithin(value, 1, Number.MAX_SAFE_INTEGER),
    null,
  ),
  leaseDuration: rule(
    `milliseconds: an integer from 100 to ${String(MAX_TIMER_MS)}`,
    value => isIntegerWithin(value, 100, MAX_TIMER_MS),
    15_000,
  ),
  maxCrashes: rule('an integer from 1', value => isIntegerWithin(value, 1, Number.MAX_SAFE_INTEGER), 3),
  autoInitialize: rule('true or false', isBoolean, true),
}

const NAMES = Object.keys(RULES) as (keyof ClusterOptions)[]

/**
 * Default, overridden by the application's settings, overridden by the constructor. An option that is undefined
 * counts as not given.
 *
 * @throws InvalidArgumentError naming the option and where it was given
 */
export function resolveOptions(
  settings: unknown,
  given: unknown,
  cpus: number,
): { readonly options: ResolvedOptions; readonly warnings: readonly string[] } {
  const layers = { ...checkLayer('Meteor.settings', settings), ...checkLayer('new Cluster', given) }
  const resolved = Object.fromEntries(
    NAMES.map(name => [name, layers[name] ?? RULES[name].fallback(cpus)]),
  ) as unknown as ResolvedOptions
  return limitWorkers(resolved, cpus)
}

/** @throws InvalidArgumentError when `value` is not allowed for the option `name` */
export function checkOption(where: string, name: keyof ClusterOptions, value: unknown): void {
  if (!RULES[name].accepts(value)) throw new InvalidArgumentError(`${where}: ${name}`, value, RULES[name].allowed)
}

function checkLayer(where: string, layer: unknown): ClusterOptions {
  if (layer === undefined) return {}
  if (typeof layer !== 'object' || layer === null || Array.isArray(layer)) {
    throw new InvalidArgumentError(`${where}: options`, layer, 'an object')
  }
  const given = Object.entries(layer).filter(([, value]) => value !== undefined)
  for (const [name, value] of given) {
    if (!isOptionName(name)) throw new InvalidArgumentError(`${where}: ${name}`, value, NAMES.join(', '))
    checkOption(where, name, value)
  }
  return Object.fromEntries(given)
}

function limitWorkers(options: ResolvedOptions, cpus: number): ReturnType<typeof resolveOptions> {
  const wanted = options.maxAvailableWorkers
  const maxAvailableWorkers = Math.min(Math.max(wanted, 1), cpus)
  const warnings =
    maxAvailableWorkers === wanted
      ? []
      : [
          `maxAvailableWorkers is ${String(wanted)}; using ${String(maxAvailableWorkers)} ` +
            `(allowed here: 1 to ${String(cpus)}, the cpus of this machine)`,
        ]
  return { options: { ...options, maxAvailableWorkers }, warnings }
}

function rule(allowed: string, accepts: (value: unknown) => boolean, fallback: unknown): Rule {
  return { allowed, accepts, fallback: () => fallback }
}

function isOptionName(name: string): name is keyof ClusterOptions {
  return Object.hasOwn(RULES, name)
}

function isIntegerWithin(value: unknown, least: number, most: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most
}

function isTimer(value: unknown): boolean {
  return isIntegerWithin(value, 1, MAX_TIMER_MS)
}

function isBoolean(value: unknown): boolean {
  return typeof value === 'boolean'
}

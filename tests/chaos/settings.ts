import type { ClusterOptions } from 'meteor/nschwarz:cluster'
/** Plans how the masters of a run differ from each other. The same seed gives the same plan. */
import { SeededRandom } from './random'

/** Options of one master, in addition to those that all share. */
export interface Variant {
  readonly workerConcurrency: number
  readonly maxJobsPerWorker: number | null
  /** Milliseconds. */
  readonly keepFailed: number | null
  readonly schedules: NonNullable<ClusterOptions['schedules']>
}

/** The first master has the options that most applications have. */
const TICK = { tick: { taskType: 'tick', cron: '* * * * * *', priority: 5 } }

/** Those of the new build; the last master is of an old one, which has the first of them only. */
const SCHEDULES = { ...TICK, fresh: { taskType: 'fresh', every: 2000, priority: 5 } }

const PLAIN: Variant = { workerConcurrency: 1, maxJobsPerWorker: null, keepFailed: null, schedules: SCHEDULES }

const SLOTS = [1, 2, 3]
const MAX_JOBS = [null, null, 5, 20]
/** Longer than a task waits for its retry, and short enough for a run. */
const KEEP_FAILED = [null, 8000]

export function planVariants(seed: number, masters: number): Variant[] {
  // A sequence other than those of the load and the attacks.
  const random = new SeededRandom(seed ^ 0xc0f1)
  const others = Array.from({ length: masters - 1 }, (_, index) => ({
    workerConcurrency: random.pick(SLOTS) ?? 1,
    maxJobsPerWorker: random.pick(MAX_JOBS) ?? null,
    keepFailed: random.pick(KEEP_FAILED) ?? null,
    schedules: index === masters - 2 ? TICK : SCHEDULES,
  }))
  return [PLAIN, ...others]
}

/** Plans which tasks a run adds, and what it does with them. The same seed gives the same plan. */
import type { Act, Kind, Plan } from './log'
import { SeededRandom, rounds } from './random'

/** Which kind of process acts on a task. */
export type Actor = 'master' | 'worker' | 'web'

/** An act on the first task of a step. */
export interface Deed {
  readonly method: Act['method']
  readonly by: Actor
  /** Milliseconds after the task was added, or after the previous deed. */
  readonly after: number
}

/** One thing to do with the queue. */
export interface Step {
  /**
   * `add`: one task. `contest`: each task in a call of its own, all at once. `batch`: all in one call. `replace`: the
   * first task, and the second after the deeds.
   */
  readonly how: 'add' | 'contest' | 'batch' | 'replace'
  readonly plans: readonly Plan[]
  readonly deeds: readonly Deed[]
}

type Part =
  | Kind
  | 'awaited'
  | 'scheduled'
  | 'undated'
  | 'contested'
  | 'batch'
  | 'urgent'
  | 'replaced'
  | 'cancelled'
  | 'retried'
  | 'revived'
  | 'paused'

/** Without `acting`: such a task is added only if a worker is to act. */
const WEIGHTS: Readonly<Record<Exclude<Part, 'acting'>, number>> = {
  short: 60,
  undated: 4,
  urgent: 8,
  batch: 3,
  scheduled: 12,
  long: 2,
  blocking: 2,
  failing: 5,
  retrying: 5,
  dying: 1,
  dyingOnce: 2,
  adding: 5,
  bulky: 3,
  overrunning: 2,
  ignoring: 1,
  limited: 8,
  pausable: 8,
  paused: 2,
  contested: 6,
  awaited: 8,
  replaced: 6,
  cancelled: 10,
  retried: 4,
  revived: 2,
}

/** Milliseconds. */
const DUE_IN = { min: 200, max: 3000 }
const MAX_UNTIL_REMOVED = 800
/** A task that is to be retried should have failed by then. */
const UNTIL_RETRIED = { min: 800, max: 2500 }
const MAX_UNTIL_REVIVED = 500
/** Long enough for every master to hear of it. */
const PAUSED = { min: 2500, max: 6000 }
const AFTER: Partial<Record<Act['method'], { readonly min: number; readonly max: number }>> = {
  retry: UNTIL_RETRIED,
  resume: PAUSED,
}
const TIMEOUT = { min: 150, max: 600 }
const MAX_PRIORITY = 9
/** With this priority a task should be running when it is cancelled. */
const SOON = { priority: 50 }
const BATCH = { min: 3, max: 6 }
/** Bytes. Most are much smaller than the largest. */
const BULK = { min: 64 * 1024, max: 8 * 1024 * 1024 }

/** @param now milliseconds since 1970, by a correct clock */
export function* planLoad(seed: number, now: () => number): Generator<Step, never> {
  // A sequence other than that of the attacks.
  const random = new SeededRandom(seed ^ 0x5eed)
  const parts = rounds(WEIGHTS, random)
  for (let count = 0; ; count++) {
    const id = `task-${String(seed)}-${String(count)}`
    const plan = (kind: Kind, more: Partial<Plan> = {}): Plan => ({
      ...{ id, incarnation: `${more.id ?? id}-a`, kind, due: now(), retries: 0, failures: 0, ...more },
    })
    yield step(parts.next().value, plan, random)
  }
}

type MakePlan = (kind: Kind, more?: Partial<Plan>) => Plan

function step(part: Exclude<Part, 'acting'>, plan: MakePlan, random: SeededRandom): Step {
  const { id, due } = plan('short')
  const second = { incarnation: `${id}-b` }
  const dueLater = () => (due ?? 0) + Math.round(random.between(DUE_IN.min, DUE_IN.max))
  switch (part) {
    case 'scheduled':
      return add(plan('short', { due: dueLater() }))
    case 'awaited':
      return add(plan('short', { due: null, isAwaited: true }))
    case 'undated':
      return add(plan('short', { due: null }))
    case 'urgent':
      return add(plan('short', { priority: Math.round(random.between(-MAX_PRIORITY, MAX_PRIORITY)) }))
    case 'batch':
      return { how: 'batch', plans: batchOf(plan, random), deeds: [] }
    case 'contested':
      return { how: 'contest', plans: [plan('short'), plan('short', second)], deeds: [] }
    case 'replaced': {
      const first = plan(random.chance(0.15) ? 'long' : 'short')
      return { how: 'replace', plans: [first, plan('short', second)], deeds: [deed('remove', random)] }
    }
    case 'cancelled':
      return add(random.chance(0.6) ? plan('long', SOON) : plan('short', { due: dueLater() }), [deed('cancel', random)])
    case 'retried':
      return add(plan('retrying', { failures: 1 }), [deed('retry', random)])
    case 'paused':
      return add(plan('pausable'), [deed('pause', random), deed('resume', random)])
    case 'revived':
      return add(plan(random.chance(0.5) ? 'long' : 'ignoring', SOON), [deed('cancel', random), atOnce(random)])
    default:
      return add(plan(part, detailsOf(part, random)))
  }
}

function add(plan: Plan, deeds: readonly Deed[] = []): Step {
  return { how: 'add', plans: [plan], deeds }
}

function deed(method: Act['method'], random: SeededRandom): Deed {
  const by = random.pick(['master', 'worker', 'web'] as const) ?? 'master'
  const { min, max } = AFTER[method] ?? { min: 0, max: MAX_UNTIL_REMOVED }
  return { method, by, after: random.between(min, max) }
}

/** A retry while the cancelled job may still be running. */
function atOnce(random: SeededRandom): Deed {
  return { ...deed('retry', random), after: random.between(0, MAX_UNTIL_REVIVED) }
}

function batchOf(plan: MakePlan, random: SeededRandom): Plan[] {
  const { id } = plan('short')
  const count = Math.round(random.between(BATCH.min, BATCH.max))
  return Array.from({ length: count }, (_, index) => plan('short', { id: `${id}-${String(index)}` }))
}

function detailsOf(kind: Kind, random: SeededRandom): Partial<Plan> {
  const count = random.chance(0.5) ? 1 : 2
  switch (kind) {
    case 'retrying':
      return { retries: count, failures: count }
    case 'failing':
      return { retries: count - 1 }
    case 'overrunning':
    case 'ignoring':
      return { retries: count - 1, timeout: Math.round(random.between(TIMEOUT.min, TIMEOUT.max)) }
    case 'bulky':
      return { bytes: { data: bulk(random), result: bulk(random) } }
    default:
      return {}
  }
}

/** As many sizes between 64 and 128 kB as between 4 and 8 MB. */
function bulk(random: SeededRandom): number {
  return Math.round(BULK.min * (BULK.max / BULK.min) ** random.next())
}

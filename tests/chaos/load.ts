/** Which tasks are added in a run, and what is done with them: the same for the same seed. */
import type { Kind, Plan } from './log'
import { SeededRandom, rounds } from './random'

/** One thing to do with the queue. Times in milliseconds. */
export type Step =
  | { readonly how: 'add'; readonly plans: readonly Plan[] }
  /** Two masters at once. */
  | { readonly how: 'contest'; readonly plans: readonly Plan[] }
  /** Removed after a while, and added again as the second plan. */
  | { readonly how: 'replace'; readonly plans: readonly Plan[]; readonly after: number }
  | { readonly how: 'cancel'; readonly plans: readonly Plan[]; readonly after: number }

type Part = Kind | 'scheduled' | 'undated' | 'contested' | 'replaced' | 'cancelled'

const WEIGHTS: Readonly<Record<Part, number>> = {
  short: 80,
  undated: 4,
  scheduled: 12,
  long: 2,
  blocking: 2,
  failing: 5,
  retrying: 5,
  dying: 1,
  dyingOnce: 2,
  adding: 5,
  contested: 6,
  replaced: 6,
  cancelled: 4,
}

/** Milliseconds. */
const DUE_IN = { least: 200, most: 3000 }
const MOST_UNTIL_REMOVED = 800

/** @param now milliseconds since 1970, by a clock that is right */
export function* planLoad(seed: number, now: () => number): Generator<Step, never> {
  // Other numbers than those of the attacks.
  const random = new SeededRandom(seed ^ 0x5eed)
  const parts = rounds(WEIGHTS, random)
  for (let count = 0; ; count++) {
    const id = `task-${String(seed)}-${String(count)}`
    const plan = (kind: Kind, more: Partial<Plan> = {}): Plan => ({
      ...{ id, incarnation: `${id}-a`, kind, due: now(), retries: 0, failures: 0, ...more },
    })
    yield step(parts.next().value, plan, random)
  }
}

type MakePlan = (kind: Kind, more?: Partial<Plan>) => Plan

function step(part: Part, plan: MakePlan, random: SeededRandom): Step {
  const { id, due } = plan('short')
  const second = { incarnation: `${id}-b` }
  const dueLater = () => (due ?? 0) + Math.round(random.between(DUE_IN.least, DUE_IN.most))
  switch (part) {
    case 'scheduled':
      return { how: 'add', plans: [plan('short', { due: dueLater() })] }
    case 'undated':
      return { how: 'add', plans: [plan('short', { due: null })] }
    case 'contested':
      return { how: 'contest', plans: [plan('short'), plan('short', second)] }
    case 'replaced': {
      const kind = random.chance(0.15) ? 'long' : 'short'
      return {
        how: 'replace',
        plans: [plan(kind), plan('short', second)],
        after: random.between(0, MOST_UNTIL_REMOVED),
      }
    }
    case 'cancelled': {
      const planned = random.chance(0.5) ? plan('long') : plan('short', { due: dueLater() })
      return { how: 'cancel', plans: [planned], after: random.between(0, MOST_UNTIL_REMOVED) }
    }
    default:
      return { how: 'add', plans: [plan(part, attemptsOf(part, random))] }
  }
}

function attemptsOf(kind: Kind, random: SeededRandom): Partial<Plan> {
  const count = random.chance(0.5) ? 1 : 2
  if (kind === 'retrying') return { retries: count, failures: count }
  return kind === 'failing' ? { retries: count - 1 } : {}
}

/** Plans what goes wrong in a run, and when. The same seed gives the same plan. */
import type { Attack } from './log'
import { SeededRandom, rounds } from './random'

export interface PlannedAttack {
  readonly kind: Attack
  /** Milliseconds between the start of the previous attack and of this one. */
  readonly pause: number
  /** Selects one of the possible targets: from 0, below 1. */
  readonly target: number
  /**
   * How many milliseconds the target is stopped or down. For a killed master: how long its workers stay stopped once it
   * is back.
   */
  readonly duration: number
  /** Milliseconds by which the clock of the restarted master is wrong. */
  readonly skew: number
}

/** How often each kind occurs in a round of about 17 seconds. */
const WEIGHTS: Readonly<Record<Attack, number>> = {
  'kill-worker': 6,
  'kill-master': 1,
  'stop-master': 1,
  'stop-worker': 2,
  'stop-pair': 1,
  'kill-mongod': 1,
  'clean-stop': 1,
  skew: 1,
}

/** Milliseconds. */
const PAUSE = { min: 700, max: 1700 }
const SKEW = { min: 2000, max: 20_000 }

/** @param lease milliseconds */
export function* planAttacks(seed: number, lease: number): Generator<PlannedAttack, never> {
  const random = new SeededRandom(seed)
  const kinds = rounds(WEIGHTS, random)
  for (;;) {
    const kind = kinds.next().value
    yield {
      kind,
      pause: random.between(PAUSE.min, PAUSE.max),
      target: random.next(),
      duration: durationOf(kind, lease, random),
      skew: skewOf(random),
    }
  }
}

function durationOf(kind: Attack, lease: number, random: SeededRandom): number {
  const isLong = random.chance(0.7)
  switch (kind) {
    case 'stop-pair':
      return random.between(1.3, 1.8) * lease
    case 'stop-master':
    case 'stop-worker':
      return (isLong ? random.between(1.3, 1.8) : random.between(0.2, 0.4)) * lease
    case 'kill-mongod':
      return isLong ? 0 : random.between(0.3, 1.3) * lease
    case 'kill-master':
      return isLong ? random.between(0.3, 0.5) * lease : 0
    case 'kill-worker':
    case 'clean-stop':
    case 'skew':
      return 0
  }
}

/** Ahead, behind, or right again. */
function skewOf(random: SeededRandom): number {
  const size = Math.round(random.between(SKEW.min, SKEW.max))
  return random.pick([size, -size, 0]) ?? 0
}

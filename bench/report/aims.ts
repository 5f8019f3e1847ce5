import type { SubjectName } from '../subjects/programs'
import type { Report } from './report'

/** What the package should reach, as a ratio of medians of one run. */
export interface Aim {
  readonly name: string
  readonly what: string
  readonly atLeast?: number
  readonly atMost?: number
}

export interface JudgedAim extends Aim {
  readonly value: number
  readonly isMet: boolean
}

type Median = (name: string, subject: SubjectName, unit: string) => number

/** At this ratio two rounds count as equally fast: rounds on one collection scatter. */
const SAME = 0.9

const AIMS: readonly (Aim & { value(median: Median, rounds: readonly number[]): number })[] = [
  aim('drain-noop', 'cluster over the batched floor', { atLeast: 0.5 }, rate('drain-noop', 'floor')),
  {
    name: 'drain-noop',
    what: 'cluster over the better of agenda and mongo-jobs',
    atLeast: 20,
    value: median =>
      median('drain-noop', 'cluster', 'jobs/s') /
      Math.max(median('drain-noop', 'agenda', 'jobs/s'), median('drain-noop', 'mongo-jobs', 'jobs/s')),
  },
  aim('drain-noop', 'cluster over bullmq-sandboxed', { atLeast: 2 }, rate('drain-noop', 'bullmq-sandboxed')),
  {
    name: 'drain-noop',
    what: 'the sixth round on one collection over the first',
    atLeast: SAME,
    value: (_median, rounds) => (rounds[5] ?? NaN) / (rounds[0] ?? NaN),
  },
  aim('latency-same-process', 'p50 over the p50 of the floor', { atMost: 1.5 }, latency('latency-same-process', 'p50')),
  aim('latency-same-process', 'p99 over the p50 of the floor', { atMost: 4 }, latency('latency-same-process', 'p99')),
  aim('latency-other-process', 'p50 over the p50 of the floor', { atMost: 2 }, latency('latency-other-process', 'p50')),
  aim('memory-drain', 'cluster over piscina', { atLeast: 1 }, rate('memory-drain', 'piscina')),
  aim('memory-drain', 'cluster over workerpool', { atLeast: 2 }, rate('memory-drain', 'workerpool')),
  aim('memory-drain', 'cluster over the floor', { atLeast: 0.5 }, rate('memory-drain', 'floor')),
  aim('claim-cost', '1,000,000 scheduled over 1,000', { atMost: 1.2 }, claimCost('ms, 1,000,000 scheduled')),
  aim(
    'claim-cost',
    '1,000,000 scheduled of 1,000 priorities over 1,000 scheduled',
    { atMost: 1.2 },
    claimCost('ms, 1,000,000 scheduled, 1,000 priorities'),
  ),
  ...[100, 1000].map(duration =>
    aim('cpu-speedup', `two workers over one process, jobs of ${String(duration)} ms`, { atLeast: 1.9 }, median =>
      median('cpu-speedup', 'cluster', `times, ${String(duration)} ms`),
    ),
  ),
  aim('idle-operations', 'commands per second', { atMost: 1 }, median =>
    median('idle-operations', 'cluster', 'commands/s'),
  ),
]

function aim(name: string, what: string, bound: Pick<Aim, 'atLeast' | 'atMost'>, value: (median: Median) => number) {
  return { name, what, ...bound, value }
}

function rate(name: string, other: SubjectName): (median: Median) => number {
  return median => median(name, 'cluster', 'jobs/s') / median(name, other, 'jobs/s')
}

function latency(name: string, percentile: 'p50' | 'p99'): (median: Median) => number {
  return median => median(name, 'cluster', `ms ${percentile}`) / median(name, 'floor', 'ms p50')
}

function claimCost(unit: string): (median: Median) => number {
  return median => median('claim-cost', 'cluster', unit) / median('claim-cost', 'cluster', 'ms, 1,000 scheduled')
}

/** The aims for which the run has figures. */
export function judgeAims({ results }: Report): JudgedAim[] {
  const find = (name: string, subject: string, unit: string) =>
    results.find(result => result.case === name && result.subject === subject && result.unit === unit)
  const median: Median = (name, subject, unit) => find(name, subject, unit)?.median ?? NaN
  const rounds = find('drain-noop', 'cluster', 'jobs/s')?.values ?? []
  return AIMS.map(one => ({ ...one, value: one.value(median, rounds) }))
    .filter(({ value }) => Number.isFinite(value))
    .map(one => ({ ...one, isMet: one.value >= (one.atLeast ?? -Infinity) && one.value <= (one.atMost ?? Infinity) }))
}

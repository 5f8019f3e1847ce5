import type { Sample } from './messages'
import { mean, quantile } from './statistics'

/** By which fraction the heap of the last third may exceed that of the middle third, since it scatters. */
const HEAP_TOLERANCE = 0.05

export interface Verdict {
  /** Megabytes: the means of the middle and of the last third. */
  readonly heap: readonly [middle: number, last: number]
  readonly rss: readonly [middle: number, last: number]
  /** A fraction: 0.01 is one percent. */
  readonly heapGrowth: number
  /** The counts that grew: each with the maximum of the middle third and the median of the last. */
  readonly grown: Readonly<Record<string, readonly [middle: number, last: number]>>
  readonly isSteady: boolean
}

/** Whether a server holds no more at the end than in the middle. The first third is the warm-up. */
export function judge(samples: readonly Sample[]): Verdict {
  const third = Math.floor(samples.length / 3)
  const middle = samples.slice(third, 2 * third)
  const last = samples.slice(-third)
  const means = (field: 'heapUsed' | 'rss') =>
    [middle, last].map(part => mean(part.map(sample => sample[field])) / 2 ** 20) as [number, number]
  const heap = means('heapUsed')
  const heapGrowth = heap[1] / heap[0] - 1
  const grown = grownCounts(middle, last)
  const isSteady = third > 0 && heapGrowth <= HEAP_TOLERANCE && Object.keys(grown).length === 0
  return { heap, rss: means('rss'), heapGrowth, grown, isSteady }
}

/** Each count rises and falls with what is in flight. One that leaks exceeds its former maximum in most samples. */
function grownCounts(middle: readonly Sample[], last: readonly Sample[]): Verdict['grown'] {
  const names = new Set([...middle, ...last].flatMap(({ counts }) => Object.keys(counts)))
  const compared = [...names].map(name => {
    const [before, after] = [middle, last].map(part => part.map(({ counts }) => counts[name] ?? 0))
    return [name, [Math.max(...(before ?? [])), quantile(after ?? [], 0.5)]] as const
  })
  return Object.fromEntries(compared.filter(([, [before, after]]) => after > before))
}

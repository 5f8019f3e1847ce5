import { percentiles } from '../result'
import { type Case, repeat } from './case'
import { perSecond } from './drains'

const POOLS = ['tinypool', 'workerpool', 'piscina'] as const
const SUBJECTS = ['cluster', 'floor', 'cluster-quiet', ...POOLS] as const
const PER = 100_000
const MEGABYTE = 2 ** 20

export const memoryDrain: Case = {
  name: 'memory-drain',
  title: 'In-memory tasks with a job that does nothing: added while the 2 workers are kept busy, then run.',
  isHigherBetter: true,
  subjects: SUBJECTS,
  quickSubjects: ['cluster', 'floor', 'workerpool', 'piscina'],
  measure: (subject, bench) =>
    bench.withSubject(subject, async start => {
      const measured = await start({ options: { keepAlive: 'always' } })
      const count = bench.size(100_000, 20_000)
      await measured.call('memoryDrain', count)
      const drained = await repeat(bench.size(5, 3), () => measured.call('memoryDrain', count))
      return [{ unit: 'jobs/s', values: drained.map(perSecond) }]
    }),
}

export const memoryLatency: Case = {
  name: 'memory-latency',
  title: 'Time from just before an in-memory task is added until its job starts in a warm worker.',
  isHigherBetter: false,
  subjects: SUBJECTS,
  quickSubjects: ['cluster', 'floor'],
  measure: (subject, bench) =>
    bench.withSubject(subject, async start => {
      const measured = await start({ options: { keepAlive: 'always' } })
      const run = () => measured.call('memoryLatency', bench.size(300, 40))
      await run()
      return percentiles(await repeat(bench.size(5, 3), run))
    }),
}

export const memoryPer100k: Case = {
  name: 'memory-per-100k',
  title: `How much the process that dispatches grows while it holds ${PER.toLocaleString('en')} in-memory tasks.`,
  isHigherBetter: false,
  subjects: ['cluster', ...POOLS],
  quickSubjects: ['cluster'],
  measure: (subject, bench) =>
    bench.withSubject(subject, async start => {
      const measured = await start({ options: { keepAlive: 'always' } })
      const grown = await repeat(bench.size(5, 1), () => measured.call('memoryOf', PER))
      return [
        { unit: 'MB heap', values: grown.map(({ heap }) => heap / MEGABYTE) },
        // Only the first run counts: the process keeps freed memory, and uses it again.
        { unit: 'MB rss', values: grown.slice(0, 1).map(({ rss }) => rss / MEGABYTE) },
      ]
    }),
}

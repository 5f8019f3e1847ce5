import type { Bench } from '../bench'
import type { SubjectProcess } from '../subject-process'
import type { Measurement } from '../result'
import { type Case, repeat } from './case'

const PRIORITIES = 1000

/** How many tasks are due much later, in addition to those that are claimed. */
const SIZES = [1000, 100_000, 1_000_000]
const QUICK_SIZES = [1000, 50_000]

export const claimCost: Case = {
  name: 'claim-cost',
  title: 'How long the database commands of one claim take, while this many other tasks are due in a year.',
  isHigherBetter: false,
  subjects: ['cluster'],
  measure: async (subject, bench) => {
    const sizes = bench.size(SIZES, QUICK_SIZES)
    const plain = await bench.withSubject(subject, async start => {
      const measured = await start({ monitorsCommands: true, options: { keepAlive: 'always' } })
      const measurements: Measurement[] = []
      let scheduled = 0
      for (const size of sizes) {
        await measured.call('schedule', size - scheduled, 1)
        scheduled = size
        measurements.push({ unit: `ms, ${format(size)} scheduled`, values: await measureClaims(measured, bench) })
      }
      return measurements
    })
    const largest = Math.max(...sizes)
    const values = await bench.withSubject(subject, async start => {
      const measured = await start({ monitorsCommands: true, options: { keepAlive: 'always' } })
      await measured.call('schedule', largest, PRIORITIES)
      return measureClaims(measured, bench)
    })
    return [...plain, { unit: `ms, ${format(largest)} scheduled, ${format(PRIORITIES)} priorities`, values }]
  },
}

async function measureClaims(measured: SubjectProcess, bench: Bench): Promise<number[]> {
  const run = () => measured.call('claimCost', bench.size(10_000, 2000))
  // Two warm-up runs, since the size that is measured first must not have the least warm-up.
  await repeat(2, run)
  return repeat(bench.size(5, 3), run)
}

function format(count: number): string {
  return count.toLocaleString('en')
}

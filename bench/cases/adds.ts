import type { Bench } from '../bench'
import type { SubjectProcess } from '../subject-process'
import type { Measurement } from '../result'
import type { SubjectName } from '../subjects/programs'
import { type Case, repeat } from './case'

const BATCH = 500
const WARM_UP = 500

async function measureAdding(
  subject: SubjectName,
  bench: Bench,
  count: number,
  add: (adder: SubjectProcess, count: number) => Promise<number>,
): Promise<Measurement[]> {
  return bench.withSubject(subject, async start => {
    // The tasks stay in the queue, so that only adding is measured.
    const adder = await start({ runsJobs: false })
    await add(adder, WARM_UP)
    const times = await repeat(bench.size(5, 3), () => add(adder, count))
    return [{ unit: 'tasks/s', values: times.map(ms => (count / ms) * 1000) }]
  })
}

export const addOne: Case = {
  name: 'add-one',
  title:
    'A process that runs no jobs adds tasks one after another, and waits for each acknowledgement of the database.',
  isHigherBetter: true,
  subjects: ['cluster', 'floor', 'agenda', 'mongo-jobs', 'bullmq', 'graphile-worker'],
  quickSubjects: ['cluster', 'floor', 'agenda', 'mongo-jobs'],
  measure: (subject, bench) =>
    measureAdding(subject, bench, bench.size(1000, 300), (adder, count) => adder.call('addOne', count)),
}

export const addMany: Case = {
  name: 'add-many',
  title: `The same, ${String(BATCH)} with each call. A subject without such a call is not listed.`,
  isHigherBetter: true,
  subjects: ['cluster', 'floor', 'bullmq', 'graphile-worker'],
  quickSubjects: ['cluster', 'floor'],
  measure: (subject, bench) =>
    measureAdding(subject, bench, bench.size(50_000, 10_000), (adder, count) => adder.call('addMany', count, BATCH)),
}

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
    // What is added stays in the queue: nothing but adding is measured.
    const adder = await start({ runsJobs: false })
    await add(adder, WARM_UP)
    const times = await repeat(bench.size(5, 3), () => add(adder, count))
    return [{ unit: 'tasks/s', values: times.map(ms => (count / ms) * 1000) }]
  })
}

export const addOne: Case = {
  name: 'add-one',
  title:
    'Tasks added one after the other, each acknowledged by the database before the next, by a process that runs no jobs.',
  isHigherBetter: true,
  subjects: ['cluster', 'floor', 'agenda', 'mongo-jobs', 'bullmq', 'graphile-worker'],
  quickSubjects: ['cluster', 'floor', 'agenda', 'mongo-jobs'],
  measure: (subject, bench) =>
    measureAdding(subject, bench, bench.size(1000, 300), (adder, count) => adder.call('addOne', count)),
}

export const addMany: Case = {
  name: 'add-many',
  title: `The same, ${String(BATCH)} with each call. Where a subject has no such call, it is not listed.`,
  isHigherBetter: true,
  subjects: ['cluster', 'floor', 'bullmq', 'graphile-worker'],
  quickSubjects: ['cluster', 'floor'],
  measure: (subject, bench) =>
    measureAdding(subject, bench, bench.size(50_000, 10_000), (adder, count) => adder.call('addMany', count, BATCH)),
}

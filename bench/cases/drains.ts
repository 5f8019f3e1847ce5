import type { Bench } from '../bench'
import { describeCpu } from '../cpu'
import type { Drained, JobKind } from '../protocol'
import type { Measurement } from '../result'
import type { SubjectName } from '../subjects/programs'
import { type Case, repeat } from './case'

const SUBJECTS = ['cluster', 'floor', 'cluster-quiet', 'agenda', 'mongo-jobs'] as const
const OTHER_DATABASES = ['bullmq', 'bullmq-sandboxed', 'graphile-worker'] as const

const TASKS = 20_000
const WARM_UP_TASKS = 500
/** The aim is stated for the sixth round: as fast as the first, on one collection. */
const ROUNDS = 6

async function measureDrain(
  subject: SubjectName,
  bench: Bench,
  job: JobKind,
  { workers, tasks, rounds }: { workers: number; tasks: number; rounds: number },
): Promise<Measurement[]> {
  return bench.withSubject(subject, async start => {
    const measured = await start({ workers, options: { keepAlive: 'always' } })
    // A subject that takes longer is stopped, and what it did until then counts.
    const limit = bench.size(10_000, 1500)
    await measured.call('drain', { count: WARM_UP_TASKS, job, limit })
    const readCpu = await bench.cpuMeter(subject, measured)
    const before = readCpu()
    const drained = await repeat(rounds, () => measured.call('drain', { count: tasks, job, limit }))
    const cpu = describeCpu(before, readCpu(), drained)
    const note = [await measured.note(), cpu].filter(Boolean).join('; ')
    return [{ unit: 'jobs/s', values: drained.map(perSecond), note }]
  })
}

function measureNoop(subject: SubjectName, bench: Bench, workers: number): Promise<Measurement[]> {
  const size = { tasks: bench.size(TASKS, 4000), rounds: bench.size(ROUNDS, 3) }
  return measureDrain(subject, bench, { name: 'noop' }, { workers, ...size })
}

export function perSecond({ jobs, ms }: Drained): number {
  return (jobs / ms) * 1000
}

export const drainNoop: Case = {
  name: 'drain-noop',
  title: '2 workers run tasks that are already in the queue, with a job that does nothing.',
  isHigherBetter: true,
  onOneCollection: ['cluster', 'cluster-quiet', 'floor', 'floor-one-by-one', 'mongo-jobs'],
  subjects: [...SUBJECTS, 'floor-one-by-one', ...OTHER_DATABASES],
  quickSubjects: ['cluster', 'floor', 'agenda', 'mongo-jobs', ...OTHER_DATABASES],
  measure: (subject, bench) => measureNoop(subject, bench, 2),
}

export const drainNoop1: Case = {
  name: 'drain-noop-1',
  title: 'The same with 1 worker.',
  isHigherBetter: true,
  subjects: ['cluster', 'cluster-quiet'],
  quickSubjects: ['cluster'],
  measure: (subject, bench) => measureNoop(subject, bench, 1),
}

export const drain1ms = drainOfBusyJobs(1, { tasks: 10_000, quickTasks: 1000 })
export const drain10ms = drainOfBusyJobs(10, { tasks: 2000, quickTasks: 300 })
export const drain30ms = drainOfBusyJobs(30, { tasks: 600, quickTasks: 120 })

function drainOfBusyJobs(ms: number, { tasks, quickTasks }: { tasks: number; quickTasks: number }): Case {
  return {
    name: `drain-${String(ms)}ms`,
    title: `The same with 2 workers and a job that keeps a cpu busy for ${String(ms)} ms.`,
    isHigherBetter: true,
    subjects: [...SUBJECTS, ...OTHER_DATABASES],
    quickSubjects: ['cluster', 'floor'],
    measure: (subject, bench) => {
      const job: JobKind = { name: 'burn', iterations: ms * bench.iterationsPerMs }
      const size = { tasks: bench.size(tasks, quickTasks), rounds: bench.size(5, 3) }
      return measureDrain(subject, bench, job, { workers: 2, ...size })
    },
  }
}

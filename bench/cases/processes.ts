/** What the processes themselves cost: cpus, an idle master, the start of a worker. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Bench } from '../bench'
import type { Measurement } from '../result'
import type { SubjectProcess } from '../subject-process'
import { type Case, repeat } from './case'

interface Jobs {
  /** Milliseconds. */
  readonly duration: number
  readonly count: number
}

const JOBS: readonly Jobs[] = [
  { duration: 100, count: 60 },
  { duration: 1000, count: 10 },
]
const QUICK_JOBS: readonly Jobs[] = [{ duration: 100, count: 12 }]

/** By then idle workers have exited, and the connections no longer change. */
const SETTLING_MS = 5000

export const cpuSpeedup: Case = {
  name: 'cpu-speedup',
  title: 'Speed of jobs that keep a cpu busy, in 2 workers, over the speed of the same function in one process.',
  isHigherBetter: true,
  subjects: ['cluster', 'floor'],
  measure: (subject, bench) =>
    bench.withSubject(subject, async start => {
      const measured = await start({ options: { keepAlive: 'always' } })
      const measurements: Measurement[] = []
      for (const jobs of bench.size(JOBS, QUICK_JOBS)) {
        const run = () => speedup(measured, bench, jobs)
        await run()
        measurements.push({ unit: `times, ${String(jobs.duration)} ms`, values: await repeat(bench.size(5, 3), run) })
      }
      return measurements
    }),
}

/** Measures the two right after each other, so that the machine is in the same state for both. */
async function speedup(measured: SubjectProcess, bench: Bench, { duration, count }: Jobs): Promise<number> {
  const iterations = duration * bench.iterationsPerMs
  const alone = await measured.call('burnHere', count, iterations)
  const { jobs, ms } = await measured.call('drain', { count, job: { name: 'burn', iterations }, limit: Infinity })
  return alone / count / (ms / jobs)
}

export const idleOperations: Case = {
  name: 'idle-operations',
  title: 'Commands that an idle process with default settings sends to the database, driver heartbeats excluded.',
  isHigherBetter: false,
  subjects: ['cluster', 'agenda', 'mongo-jobs'],
  quickSubjects: ['cluster'],
  measure: (subject, bench) =>
    bench.withSubject(subject, async start => {
      const measured = await start({ monitorsCommands: true })
      const seconds = bench.size(20, 5)
      await pause(SETTLING_MS)
      const counts = await repeat(bench.size(3, 1), () => measured.call('countCommands', seconds * 1000))
      return [{ unit: 'commands/s', values: counts.map(count => count / seconds) }]
    }),
}

export const workerBoot: Case = {
  name: 'worker-boot',
  title:
    'Time from the fork of a worker until it runs its first job, on the stand-in for Meteor with an app of one file. ' +
    'The floor is Node alone.',
  isHigherBetter: false,
  subjects: ['cluster', 'floor'],
  measure: (subject, bench) =>
    bench.withSubject(subject, async start => {
      // A worker exits soon after its job, so that each sample forks one.
      const measured = await start({ workers: 1, options: { keepAlive: 1 } })
      return [{ unit: 'ms', values: await measured.call('workerBoot', bench.size(10, 3)) }]
    }),
}

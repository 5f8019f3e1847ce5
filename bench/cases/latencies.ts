import type { Bench, Start } from '../bench'
import { latencies } from '../latencies'
import { type Measurement, percentiles } from '../result'
import type { SubjectName } from '../subjects/programs'
import type { SubjectProcess } from '../subject-process'
import { type Case, repeat } from './case'

/** The floor is next to the subject that is compared with it, since the speed of a disk changes within a minute. */
const SUBJECTS = ['cluster', 'floor', 'cluster-quiet', 'agenda', 'mongo-jobs'] as const
const OTHER_DATABASES = ['bullmq', 'bullmq-sandboxed', 'graphile-worker'] as const

/** @param takeSamples prepares to take samples in a process that runs jobs */
async function measureLatency(
  subject: SubjectName,
  bench: Bench,
  takeSamples: (runner: SubjectProcess, samples: number, start: Start) => Promise<() => Promise<number[]>>,
): Promise<Measurement[]> {
  return bench.withSubject(subject, async start => {
    const runner = await start({ options: { keepAlive: 'always' } })
    const run = await takeSamples(runner, bench.size(200, 40), start)
    await run()
    return percentiles(await repeat(bench.size(5, 3), run), await runner.note())
  })
}

export const latencySameProcess: Case = {
  name: 'latency-same-process',
  title:
    'Time from just before a task is added until its job starts in a warm worker. ' +
    'The process that dispatches adds the task.',
  isHigherBetter: false,
  subjects: [...SUBJECTS, ...OTHER_DATABASES],
  quickSubjects: ['cluster', 'floor', 'agenda', 'mongo-jobs', ...OTHER_DATABASES],
  measure: (subject, bench) =>
    measureLatency(subject, bench, (runner, samples) => Promise.resolve(() => runner.call('latency', samples))),
}

export const latencyWorkerAdded: Case = {
  name: 'latency-worker-added',
  title: 'The same, but a job that runs in a worker adds the task.',
  isHigherBetter: false,
  subjects: ['cluster', 'cluster-quiet', 'agenda', 'mongo-jobs', 'bullmq', 'graphile-worker'],
  quickSubjects: ['cluster'],
  measure: (subject, bench) =>
    measureLatency(subject, bench, (runner, samples) =>
      Promise.resolve(() => runner.call('latencyWorkerAdded', samples)),
    ),
}

export const latencyRun: Case = {
  name: 'latency-run',
  title: 'Time until `TaskQueue.run` of a job that does nothing has its result: its outcome is stored before.',
  isHigherBetter: false,
  subjects: ['cluster'],
  quickSubjects: ['cluster'],
  measure: (subject, bench) =>
    measureLatency(subject, bench, (runner, samples) => Promise.resolve(() => runner.call('latencyRun', samples))),
}

export const latencyOtherProcess: Case = {
  name: 'latency-other-process',
  title: 'The same, but a process that runs no jobs adds the task.',
  isHigherBetter: false,
  subjects: [...SUBJECTS, ...OTHER_DATABASES],
  quickSubjects: ['cluster', 'floor', 'agenda', 'mongo-jobs'],
  measure: (subject, bench) =>
    measureLatency(subject, bench, async (runner, samples, start) => {
      await runner.call('listen')
      const adder = await start({ runsJobs: false })
      return () =>
        latencies(samples, async () => {
          const latency = runner.call('nextLatency')
          await Promise.all([latency, adder.call('addProbe')])
          return latency
        })
    }),
}

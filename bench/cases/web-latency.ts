import { get } from 'node:http'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import type { Bench } from '../bench'
import { now, timed } from '../clock'
import { type Measurement, percentiles } from '../result'
import type { SubjectName } from '../subjects/programs'
import type { SubjectProcess } from '../subject-process'
import { type Case, repeat } from './case'

const JOB_MS = 100
const PAUSE_MS = 10

/** Keeps the cpus busy for `ms` milliseconds while requests are measured. */
type Load = (measured: SubjectProcess, iterations: number, ms: number) => Promise<unknown>

function jobs(resultBytes: number): Load {
  return (measured, iterations, ms) => {
    const count = Math.ceil((ms / JOB_MS) * availableParallelism())
    return measured.call('drain', { count, job: { name: 'burn', iterations, resultBytes }, limit: ms })
  }
}

const JOBS = jobs(0)

const LOADS: Record<string, Load> = {
  idle: () => Promise.resolve(),
  'the jobs in it': (measured, iterations, ms) => measured.call('burnInTurns', iterations, ms),
  jobs: JOBS,
  'jobs with results of 1 MB': jobs(2 ** 20),
}

export const webLatency: Case = {
  name: 'web-latency',
  title:
    'How long a request to the process that dispatches takes, and the longest pause of its event loop, ' +
    `while as many jobs of ${String(JOB_MS)} ms run as there are cpus.`,
  isHigherBetter: false,
  subjects: ['cluster', 'agenda'],
  quickSubjects: ['cluster'],
  measure: (subject, bench) =>
    bench.withSubject(subject, async start => {
      const measured = await start({ workers: availableParallelism(), options: { keepAlive: 'always' } })
      const port = await measured.call('serveWeb')
      const measurements: Measurement[] = []
      for (const [what, load] of loadsOf(subject)) {
        const runs = await repeat(bench.size(3, 1), () => measureUnder(load, measured, port, bench))
        const latencies = percentiles(runs.map(run => run.latencies))
        measurements.push(...latencies.map(({ unit, values }) => ({ unit: `${unit}, ${what}`, values })))
        measurements.push({ unit: `ms at most, ${what}`, values: runs.map(({ gap }) => gap) })
      }
      return measurements
    }),
}

/** Agenda runs jobs in its own process anyway. */
function loadsOf(subject: SubjectName): [string, Load][] {
  return subject === 'cluster' ? Object.entries(LOADS) : [['jobs', JOBS]]
}

async function measureUnder(
  load: Load,
  measured: SubjectProcess,
  port: number,
  bench: Bench,
): Promise<{ latencies: number[]; gap: number }> {
  const ms = bench.size(10_000, 3000)
  const loaded = load(measured, JOB_MS * bench.iterationsPerMs, ms)
  const gap = measured.call('longestGap', ms)
  const latencies: number[] = []
  for (const end = now() + ms; now() < end;) {
    latencies.push(await timed(() => request(port)))
    await pause(PAUSE_MS)
  }
  await loaded
  return { latencies, gap: await gap }
}

async function request(port: number): Promise<void> {
  const [response] = (await once(get({ host: '127.0.0.1', port, agent: false }), 'response')) as [NodeJS.ReadableStream]
  response.resume()
  await once(response, 'end')
}

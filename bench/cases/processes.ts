/** What the processes themselves cost: cpus, an idle master, the start of a worker. */
import { setTimeout as pause } from 'node:timers/promises'
import { type Case, repeat } from './case'

const JOB_MS = 100
/** Until workers without work are gone, and connections are what they stay. */
const SETTLING_MS = 5000

export const cpuSpeedup: Case = {
  name: 'cpu-speedup',
  title: `Jobs that keep a cpu busy for ${String(JOB_MS)} ms, in 2 workers, over the same function called in one process.`,
  isHigherBetter: true,
  subjects: ['cluster', 'floor'],
  measure: (subject, bench) =>
    bench.withSubject(subject, async start => {
      const measured = await start({ options: { keepAlive: 'always' } })
      const iterations = JOB_MS * bench.iterationsPerMs
      const count = bench.size(60, 12)
      // The two right after each other, so that they find the machine in the same state.
      const run = async () => {
        const alone = await measured.call('burnHere', count, iterations)
        const { jobs, ms } = await measured.call('drain', { count, job: { name: 'burn', iterations }, limit: Infinity })
        return alone / count / (ms / jobs)
      }
      await run()
      return [{ unit: 'times', values: await repeat(bench.size(5, 3), run) }]
    }),
}

export const idleOperations: Case = {
  name: 'idle-operations',
  title:
    'Commands that an idle process sends to the database, the driver’s heartbeats apart. Each has its default settings.',
  isHigherBetter: false,
  subjects: ['cluster', 'agenda', 'mongo-jobs'],
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
    'From the fork of a worker until it runs its first job, on the stand-in for Meteor with an app of one file; the floor is Node alone.',
  isHigherBetter: false,
  subjects: ['cluster', 'floor'],
  measure: (subject, bench) =>
    bench.withSubject(subject, async start => {
      // No worker outlives its job for long: each sample forks one.
      const measured = await start({ workers: 1, options: { keepAlive: 1 } })
      return [{ unit: 'ms', values: await measured.call('workerBoot', bench.size(10, 3)) }]
    }),
}

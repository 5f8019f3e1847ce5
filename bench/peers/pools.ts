/** The operations of the three pools without a database, given how a pool runs one job. */
import { now } from '../clock'
import { latencies } from '../latencies'
import { collected, growth } from '../memory'
import type { Drained, Memory, Operations } from '../protocol'

export interface PoolJob {
  readonly job: 'noop' | 'time' | 'hold'
  readonly ms?: number
}

const WARM_UP_JOBS = 2000
/** How long the workers are kept busy while jobs are added: a base, and more for each job. */
const HOLD_MS = 1000
const HOLD_MS_PER_JOB = 0.02

export function operationsOf(run: (job: PoolJob) => PromiseLike<unknown>, workers: number): Partial<Operations> {
  const drain = (count: number) => drainPool(run, workers, count)
  return {
    warmUp: async () => {
      await drain(WARM_UP_JOBS)
    },
    memoryDrain: async count => (await drain(count)).drained,
    memoryOf: async count => (await drain(count)).memory,
    memoryLatency: samples =>
      latencies(samples, async () => {
        const startedAt = now()
        return ((await run({ job: 'time' })) as number) - startedAt
      }),
  }
}

interface PoolDrain {
  readonly drained: Drained
  readonly memory: Memory
}

/** Keeps all workers busy while it adds the jobs, and counts from when the first worker is free. */
async function drainPool(
  run: (job: PoolJob) => PromiseLike<unknown>,
  workers: number,
  count: number,
): Promise<PoolDrain> {
  const hold = { job: 'hold', ms: HOLD_MS + count * HOLD_MS_PER_JOB } as const
  let startedAt: number | undefined
  const held = Array.from({ length: workers }, () => run(hold)).map(holding =>
    holding.then(() => (startedAt ??= now())),
  )
  const before = collected()
  const jobs: PromiseLike<unknown>[] = []
  for (let index = 0; index < count; index++) jobs.push(run({ job: 'noop' }))
  const after = collected()
  if (startedAt !== undefined) throw new Error('the workers were free before all jobs were added')
  await Promise.all([...held, ...jobs])
  return { drained: { jobs: count, ms: now() - (startedAt ?? NaN) }, memory: growth(before, after) }
}

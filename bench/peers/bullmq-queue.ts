import { type Processor, Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { inBatches } from '../batches'
import { now, timed } from '../clock'
import { latencies } from '../latencies'
import type { Drain, Drained, Operations, Settings } from '../protocol'
import { Jobs, iterationsOf } from './jobs'
import { Tuning } from './tuning'

const NAME = 'bench'
const ADDED_AT_ONCE = 1000
const TUNING_TASKS = 2000
/** A done job is removed, as the other subjects do. */
const OPTIONS = { removeOnComplete: true }

/** @param concurrencies the fastest is used for a drain, the largest for everything else */
export async function openBullmq(
  { databaseUrl, runsJobs }: Settings,
  concurrencies: readonly number[],
  makeProcessor: (queue: Queue) => Processor | string,
): Promise<Partial<Operations>> {
  const connection = new Redis(databaseUrl, { maxRetriesPerRequest: null })
  const queue = new Queue(NAME, { connection })
  const adding: Partial<Operations> = {
    warmUp: async () => {
      await queue.waitUntilReady()
    },
    addOne: count =>
      timed(async () => {
        for (let index = 0; index < count; index++) await queue.add('noop', {}, OPTIONS)
      }),
    addMany: (count, size) => timed(() => fill(queue, count, size, 'noop', {})),
    addProbe: () => addProbe(queue),
  }
  if (!runsJobs) return adding
  // All subjects that use Redis share one server.
  await connection.flushall()
  const worker = new Worker(NAME, makeProcessor(queue), { connection, concurrency: Math.max(...concurrencies) })
  return { ...adding, ...running(queue, worker, concurrencies) }
}

function running(queue: Queue, worker: Worker, concurrencies: readonly number[]): Partial<Operations> {
  const jobs = new Jobs()
  const tuning = new Tuning(concurrencies.map(concurrency => ({ concurrency })))
  worker.on('completed', ({ name }, value) => {
    if (name === 'probe') jobs.probed(value as number)
    else jobs.ran()
  })
  worker.on('error', error => {
    console.error(error)
  })
  return {
    note: () => tuning.note(),
    drain: async request => {
      const { concurrency } = await tuning.bestForDrain(request, TUNING_TASKS, (setting, small) =>
        drain(queue, worker, jobs, setting.concurrency, small),
      )
      return drain(queue, worker, jobs, concurrency, request)
    },
    latency: samples => latencies(samples, () => jobs.latencyOf(() => addProbe(queue))),
    latencyWorkerAdded: samples => latencies(samples, () => jobs.latencyOf(() => queue.add('addProbe', {}, OPTIONS))),
    nextLatency: () => jobs.nextLatency(),
  }
}

async function drain(
  queue: Queue,
  worker: Worker,
  jobs: Jobs,
  concurrency: number,
  { count, job, limit }: Drain,
): Promise<Drained> {
  await worker.pause()
  worker.concurrency = concurrency
  await fill(queue, count, ADDED_AT_ONCE, job.name, { iterations: iterationsOf(job) })
  const drained = await jobs.drain(count, limit, () => worker.resume())
  await worker.pause()
  await queue.drain()
  await worker.resume()
  return drained
}

export async function addProbe(queue: Queue): Promise<void> {
  await queue.add('probe', { addedAt: now() }, OPTIONS)
}

async function fill(queue: Queue, count: number, size: number, name: string, data: object): Promise<void> {
  await inBatches(count, size, length => queue.addBulk(Array.from({ length }, () => ({ name, data, opts: OPTIONS }))))
}

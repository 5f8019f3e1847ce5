import { BackgroundJobs } from '@clipboard-health/mongo-jobs'
import mongoose from 'mongoose'
import { setTimeout as pause } from 'node:timers/promises'
import { now, timed } from '../clock'
import { latencies } from '../latencies'
import type { Drain, Drained, Operations, Settings } from '../protocol'
import { countCommands } from '../commands'
import { fillWithCopies } from './copies'
import { Jobs, iterationsOf } from './jobs'
import { Tuning } from './tuning'

interface Setting {
  readonly maxConcurrency: number
}

/** The second is its default. */
const SETTINGS: readonly Setting[] = [2, 10, 50].map(maxConcurrency => ({ maxConcurrency }))
const DEFAULT: Setting = { maxConcurrency: 10 }
const TUNING_TASKS = 500
const GROUP = 'bench'
const SETTLING_MS = 300

const NO_METRICS = { gauge: () => undefined, increment: () => undefined, timing: () => undefined }

export async function open({ databaseUrl, runsJobs, quick }: Settings): Promise<Partial<Operations>> {
  const jobs = new Jobs()
  const connection = await mongoose.createConnection(databaseUrl).asPromise()
  const queue = createQueue(connection, jobs)
  await queue.jobModel.init()
  const tuning = new Tuning(quick ? SETTINGS.slice(1, 2) : SETTINGS)
  return {
    warmUp: async () => {
      await queue.jobModel.findOne({})
    },
    note: () => tuning.note(),
    addOne: count =>
      timed(async () => {
        for (let index = 0; index < count; index++) await queue.enqueue<object>('noop', {})
      }),
    addProbe: () => addProbe(queue),
    ...(runsJobs ? running(connection, queue, jobs, tuning) : {}),
  }
}

function running(
  connection: mongoose.Connection,
  queue: BackgroundJobs,
  jobs: Jobs,
  tuning: Tuning<Setting>,
): Partial<Operations> {
  const startOnce = once(() => start(queue, DEFAULT))
  return {
    ...measuringLatency(queue, jobs, startOnce),
    drain: async request => {
      const setting = await tuning.bestForDrain(request, TUNING_TASKS, (candidate, small) =>
        drain(queue, jobs, candidate, small),
      )
      return drain(queue, jobs, setting, request)
    },
    countCommands: async ms => {
      await startOnce()
      return countCommands(connection.getClient(), ms)
    },
  }
}

function measuringLatency(queue: BackgroundJobs, jobs: Jobs, startOnce: () => Promise<void>): Partial<Operations> {
  return {
    latency: async samples => {
      await startOnce()
      return latencies(samples, () => jobs.latencyOf(() => addProbe(queue)))
    },
    latencyWorkerAdded: async samples => {
      await startOnce()
      return latencies(samples, () => jobs.latencyOf(() => queue.enqueue<object>('addProbe', {})))
    },
    listen: startOnce,
    nextLatency: () => jobs.nextLatency(),
  }
}

/**
 * All drains use one collection. Done jobs are deleted. What a drain has left unfinished is deleted before the next
 * drain.
 */
async function drain(
  queue: BackgroundJobs,
  jobs: Jobs,
  setting: Setting,
  { count, job, limit }: Drain,
): Promise<Drained> {
  const collection = queue.jobModel.collection
  await collection.deleteMany({})
  await queue.enqueue<object>(job.name, { iterations: iterationsOf(job) })
  await fillWithCopies(collection as never, count)
  const drained = await jobs.drain(count, limit, () => queue.start([GROUP], setting))
  await queue.stop()
  return drained
}

/** The change stream opens in the background. */
async function start(queue: BackgroundJobs, setting: Setting): Promise<void> {
  await queue.start([GROUP], setting)
  await pause(SETTLING_MS)
}

async function addProbe(queue: BackgroundJobs): Promise<void> {
  await queue.enqueue<object>('probe', { addedAt: now() })
}

function createQueue(connection: mongoose.Connection, jobs: Jobs): BackgroundJobs {
  const queue = new BackgroundJobs({ dbConnection: connection, metricsReporter: NO_METRICS })
  const run = ({ iterations }: { iterations: number }) => {
    jobs.run(iterations)
    return Promise.resolve()
  }
  queue.register({ name: 'noop', perform: run }, GROUP)
  queue.register({ name: 'burn', perform: run }, GROUP)
  queue.register({ name: 'addProbe', perform: () => addProbe(queue) }, GROUP)
  queue.register(
    {
      name: 'probe',
      perform: ({ addedAt }: { addedAt: number }) => {
        jobs.probe(addedAt)
        return Promise.resolve()
      },
    },
    GROUP,
  )
  return queue
}

function once(run: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  return () => (running ??= run())
}

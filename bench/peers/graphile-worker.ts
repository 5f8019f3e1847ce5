import { type Runner, type TaskList, type WorkerUtils, makeWorkerUtils, run } from 'graphile-worker'
import pg from 'pg'
import { inBatches } from '../batches'
import { now, timed } from '../clock'
import { latencies } from '../latencies'
import type { Drain, Drained, Operations, Settings } from '../protocol'
import { Jobs, iterationsOf } from './jobs'
import { Tuning } from './tuning'

interface Setting {
  readonly concurrentJobs: number
  /** -1: no local queue. */
  readonly localQueueSize: number
  /** -1: jobs are completed one by one. */
  readonly completeJobBatchDelay: number
}

/** Its defaults except for the concurrency; then with a local queue and batches, which give up some safety. */
const SETTINGS: readonly Setting[] = [
  { concurrentJobs: 10, localQueueSize: -1, completeJobBatchDelay: -1 },
  { concurrentJobs: 24, localQueueSize: -1, completeJobBatchDelay: -1 },
  { concurrentJobs: 24, localQueueSize: 500, completeJobBatchDelay: 0 },
  { concurrentJobs: 100, localQueueSize: 1000, completeJobBatchDelay: 0 },
]
const FOR_LATENCY: Setting = { concurrentJobs: 10, localQueueSize: -1, completeJobBatchDelay: -1 }

const ADDED_AT_ONCE = 1000
const TUNING_TASKS = 2000

export async function open({ databaseUrl, runsJobs }: Settings): Promise<Partial<Operations>> {
  const pool = new pg.Pool({ connectionString: databaseUrl })
  // The processes of a subject, and all its cases, share one PostgreSQL server.
  if (runsJobs) await pool.query('drop schema if exists graphile_worker cascade')
  const utils = await makeWorkerUtils({ pgPool: pool })
  await utils.migrate()
  const adding: Partial<Operations> = {
    warmUp: () => Promise.resolve(),
    addOne: count =>
      timed(async () => {
        for (let index = 0; index < count; index++) await utils.addJob('noop', {})
      }),
    addMany: (count, size) => timed(() => fill(utils, count, size, 'noop', {})),
    addProbe: () => addProbe(utils),
  }
  return runsJobs ? { ...adding, ...running(pool, utils) } : adding
}

function running(pool: pg.Pool, utils: WorkerUtils): Partial<Operations> {
  const jobs = new Jobs()
  const tuning = new Tuning(SETTINGS)
  let started: Promise<Runner> | undefined
  const startOnce = () => (started ??= start(pool, utils, jobs, FOR_LATENCY))
  return {
    note: () => tuning.note(),
    drain: async request => {
      const setting = await tuning.bestForDrain(request, TUNING_TASKS, (candidate, small) =>
        drain(pool, utils, jobs, candidate, small),
      )
      return drain(pool, utils, jobs, setting, request)
    },
    latency: async samples => {
      await startOnce()
      return latencies(samples, () => jobs.latencyOf(() => addProbe(utils)))
    },
    latencyWorkerAdded: async samples => {
      await startOnce()
      return latencies(samples, () => jobs.latencyOf(() => utils.addJob('addProbe', {})))
    },
    listen: async () => {
      await startOnce()
    },
    nextLatency: () => jobs.nextLatency(),
  }
}

async function drain(
  pool: pg.Pool,
  utils: WorkerUtils,
  jobs: Jobs,
  setting: Setting,
  { count, job, limit }: Drain,
): Promise<Drained> {
  await fill(utils, count, ADDED_AT_ONCE, job.name, { iterations: iterationsOf(job) })
  let runner: Runner | undefined
  const drained = await jobs.drain(count, limit, async () => {
    runner = await start(pool, utils, jobs, setting)
  })
  await runner?.stop()
  await pool.query('truncate graphile_worker._private_jobs')
  return drained
}

function start(pool: pg.Pool, utils: WorkerUtils, jobs: Jobs, setting: Setting): Promise<Runner> {
  const { concurrentJobs, localQueueSize, completeJobBatchDelay } = setting
  const burnJob = (payload: unknown) => {
    jobs.run((payload as { iterations: number }).iterations)
  }
  const taskList: TaskList = {
    noop: burnJob,
    burn: burnJob,
    addProbe: () => addProbe(utils),
    probe: payload => {
      jobs.probe((payload as { addedAt: number }).addedAt)
    },
  }
  const worker = { concurrentJobs, localQueue: { size: localQueueSize }, completeJobBatchDelay }
  return run({ pgPool: pool, noHandleSignals: true, taskList, preset: { worker } })
}

async function addProbe(utils: WorkerUtils): Promise<void> {
  await utils.addJob('probe', { addedAt: now() })
}

async function fill(
  utils: WorkerUtils,
  count: number,
  size: number,
  identifier: string,
  payload: object,
): Promise<void> {
  await inBatches(count, size, length => utils.addJobs(Array.from({ length }, () => ({ identifier, payload }))))
}

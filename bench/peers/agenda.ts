import { MongoBackend, MongoChangeStreamNotificationChannel } from '@agendajs/mongo-backend'
import { Agenda, type Job } from 'agenda'
import { type Db, MongoClient } from 'mongodb'
import { setTimeout as pause } from 'node:timers/promises'
import { now, timed } from '../clock'
import { latencies } from '../latencies'
import type { Drain, Drained, Operations, Settings } from '../protocol'
import { countCommands } from '../commands'
import { fillWithCopies } from './copies'
import { Jobs, iterationsOf } from './jobs'
import { medianOf } from '../result'
import { Tuning } from './tuning'

interface Setting {
  readonly processEvery: number
  readonly concurrency: number
  readonly lockLimit: number
}

/** Agenda's own defaults. */
const DEFAULTS: Setting = { processEvery: 5000, concurrency: 5, lockLimit: 0 }
const SETTINGS: readonly Setting[] = [
  DEFAULTS,
  ...[20, 100, 500].map(limit => ({ processEvery: 1000, concurrency: limit, lockLimit: limit })),
  ...[20, 100, 500].map(limit => ({ processEvery: 100, concurrency: limit, lockLimit: limit })),
  ...[20, 100].map(limit => ({ processEvery: 20, concurrency: limit, lockLimit: limit })),
  { processEvery: 100, concurrency: 20, lockLimit: 0 },
]

/** The range of SETTINGS that a quick run tries. */
const FOR_QUICK = [4, 6] as const
const TUNING_TASKS = 2000
const TUNING_SAMPLES = 15
/** By then Agenda has done what it does at its start. */
const IDLE_MS = 3000
const CHAIN = 'addProbe'
const COLLECTION = 'agendaJobs'

export async function open({ databaseUrl, runsJobs, quick }: Settings): Promise<Partial<Operations>> {
  const client = await MongoClient.connect(databaseUrl)
  const db = client.db()
  const adder = createAgenda(db, DEFAULTS, new Jobs())
  await adder.ready
  const tuning = new Tuning(quick ? SETTINGS.slice(...FOR_QUICK) : SETTINGS)
  let idle: Promise<unknown> | undefined
  return {
    warmUp: async () => {
      await db.collection(COLLECTION).findOne({})
    },
    note: () => tuning.note(),
    addOne: count =>
      timed(async () => {
        for (let index = 0; index < count; index++) await adder.now('noop', {})
      }),
    addProbe: () => addProbe(adder),
    countCommands: async ms => {
      idle ??= start(db, DEFAULTS)
      await idle
      await pause(IDLE_MS)
      return countCommands(client, ms)
    },
    ...(runsJobs ? running(db, tuning) : {}),
  }
}

function running(db: Db, tuning: Tuning<Setting>): Partial<Operations> {
  const latency = new Latency(db, tuning)
  return {
    drain: async request => {
      const setting = await tuning.bestForDrain(request, TUNING_TASKS, (candidate, small) =>
        drain(db, candidate, small),
      )
      return drain(db, setting, request)
    },
    latency: samples => latency.measure(samples, addProbe),
    latencyWorkerAdded: samples => latency.measure(samples, agenda => agenda.now(CHAIN, {})),
    listen: () => latency.listen(),
    nextLatency: () => latency.next(),
  }
}

/** An instance that stays started, with the setting that has the lowest latency. */
class Latency {
  readonly #db: Db
  readonly #tuning: Tuning<Setting>
  #started: { readonly agenda: Agenda; readonly jobs: Jobs } | undefined

  constructor(db: Db, tuning: Tuning<Setting>) {
    this.#db = db
    this.#tuning = tuning
  }

  async measure(samples: number, add: (agenda: Agenda) => Promise<unknown>): Promise<number[]> {
    const { agenda, jobs } = await this.start(add)
    return latencies(samples, () => jobs.latencyOf(() => add(agenda)))
  }

  async listen(): Promise<void> {
    await this.start(addProbe)
  }

  async next(): Promise<number> {
    return (await this.start(addProbe)).jobs.nextLatency()
  }

  private async start(add: (agenda: Agenda) => Promise<unknown>) {
    if (this.#started !== undefined) return this.#started
    const setting = await this.#tuning.best('latency', async candidate => {
      const { agenda, jobs } = await start(this.#db, candidate)
      const samples = await latencies(TUNING_SAMPLES, () => jobs.latencyOf(() => add(agenda)))
      await agenda.stop(false)
      return medianOf(samples)
    })
    this.#started = await start(this.#db, setting)
    return this.#started
  }
}

async function start(db: Db, setting: Setting): Promise<{ readonly agenda: Agenda; readonly jobs: Jobs }> {
  const jobs = new Jobs()
  const agenda = createAgenda(db, setting, jobs)
  await agenda.ready
  await agenda.start()
  // The change stream opens in the background.
  await pause(200)
  return { agenda, jobs }
}

async function addProbe(agenda: Agenda): Promise<void> {
  await agenda.now('probe', { addedAt: now() })
}

let drains = 0

/** Each drain has a collection of its own, since an instance that is stopped still locks what it finds. */
async function drain(db: Db, setting: Setting, { count, job, limit }: Drain): Promise<Drained> {
  const collection = db.collection(`drain-${String(++drains)}`)
  const jobs = new Jobs()
  const agenda = createAgenda(db, setting, jobs, collection.collectionName)
  await agenda.ready
  await agenda.now(job.name, { iterations: iterationsOf(job) })
  await fillWithCopies(collection, count)
  const drained = await jobs.drain(count, limit, () => agenda.start())
  await agenda.stop(false)
  await collection.deleteMany({})
  return drained
}

function createAgenda(db: Db, setting: Setting, jobs: Jobs, collection = COLLECTION): Agenda {
  const { processEvery, concurrency, lockLimit } = setting
  const agenda = new Agenda({
    backend: new MongoBackend({ mongo: db, collection }),
    notificationChannel: new MongoChangeStreamNotificationChannel({ db, collection }),
    processEvery,
    maxConcurrency: concurrency,
    defaultConcurrency: concurrency,
    lockLimit,
    defaultLockLimit: lockLimit,
  })
  const run = (job: Job<{ iterations: number }>) => {
    jobs.run(job.attrs.data.iterations)
    return Promise.resolve()
  }
  agenda.define('noop', run)
  agenda.define('burn', run)
  agenda.define(CHAIN, () => addProbe(agenda))
  agenda.define('probe', (job: Job<{ addedAt: number }>) => {
    jobs.probe(job.attrs.data.addedAt)
    return Promise.resolve()
  })
  agenda.on('error', error => {
    console.error(error)
  })
  return agenda
}

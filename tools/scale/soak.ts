/** Runs many tasks through one master, which must hold no more at the end than in the middle. */
import { MongoClient } from 'mongodb'
import { createTask } from '../../common/task'
import type { Sample } from './messages'
import { type Server, withServers } from './server'
import { type Verdict, judge } from './verdict'

/** How many tasks the soak keeps in the queue: it never runs dry, and adding tasks costs little meanwhile. */
const IN_QUEUE = 2000

const SAMPLE_EVERY = 2000
const MIN_SAMPLES = 12

const JOBS_PER_WORKER = 5000
const MIN_RECYCLINGS = 8

const PROGRESS_EVERY_MS = 10_000

export interface Soak extends Verdict {
  readonly tasks: number
  readonly seconds: number
  readonly perSecond: number
  readonly samples: number
  /** How many tasks had exactly one `done` event, and how many are left in the queue. */
  readonly once: number
  readonly left: number
  readonly passed: boolean
}

export async function soak(databaseUrl: string, tasks: number): Promise<Soak> {
  const client = await MongoClient.connect(databaseUrl)
  const queue = client.db().collection<{ _id: string }>('taskQueue')
  try {
    return await withServers(databaseUrl, async start => {
      const maxJobsPerWorker = Math.min(JOBS_PER_WORKER, Math.ceil(tasks / MIN_RECYCLINGS))
      const server = start({ maxJobsPerWorker }, tasks, stepOf(tasks))
      await server.notice('ready')
      const startedAt = performance.now()
      await feed(server, tasks, documents => queue.insertMany(documents))
      const seconds = (performance.now() - startedAt) / 1000
      return await assess(server, tasks, seconds, await queue.countDocuments())
    })
  } finally {
    await client.close()
  }
}

/** How many tasks lie between two samples: a multiple of the 250 between two progress reports. */
function stepOf(tasks: number): number {
  return Math.min(SAMPLE_EVERY, Math.max(250, Math.floor(tasks / MIN_SAMPLES / 250) * 250))
}

/**
 * Adds tasks as others are done. Bypasses `addTask`, so that adding is not measured. Resolves when all are done.
 */
async function feed(
  server: Server,
  tasks: number,
  insert: (documents: { _id: string }[]) => Promise<unknown>,
): Promise<void> {
  let added = 0
  let done = 0
  const progress = setInterval(() => {
    console.log(describeProgress(done, tasks, server.notices('sample').at(-1)?.sample))
  }, PROGRESS_EVERY_MS)
  try {
    while (done < tasks) {
      const next = Math.min(tasks, done + IN_QUEUE)
      if (next > added) await insert(Array.from({ length: next - added }, (_, index) => makeTask(added + index)))
      added = next
      const before = done
      done = (await server.notice('progress', notice => notice.done > before)).done
    }
  } finally {
    clearInterval(progress)
  }
}

function makeTask(number: number): ReturnType<typeof createTask> {
  return createTask({ _id: `soak-${String(number)}`, taskType: 'nothing', data: { number } })
}

async function assess(server: Server, tasks: number, seconds: number, left: number): Promise<Soak> {
  server.send({ command: 'account' })
  const { once } = await server.notice('account')
  const samples = server.notices('sample').map(({ sample }) => sample)
  const verdict = judge(samples)
  const passed = verdict.isSteady && once === tasks && left === 0
  return { ...verdict, tasks, seconds, perSecond: tasks / seconds, samples: samples.length, once, left, passed }
}

function describeProgress(done: number, tasks: number, sample: Sample | undefined): string {
  const heap = sample === undefined ? '' : `, heap ${(sample.heapUsed / 2 ** 20).toFixed(1)} MB`
  return `soak: ${String(done)} of ${String(tasks)} tasks done${heap}`
}

/** One line for people. */
export function describeSoak(result: Soak): string {
  const { tasks, seconds, perSecond, heap, heapGrowth, rss, grown, once, left, passed } = result
  const range = ([middle, last]: readonly [number, number]) => `${middle.toFixed(1)} → ${last.toFixed(1)} MB`
  const counts = Object.entries(grown).map(([name, [middle, last]]) => `${name}: ${String(middle)} → ${String(last)}`)
  return (
    `soak ${passed ? 'passed' : 'FAILED'}: ${String(tasks)} tasks in ${seconds.toFixed(0)} s ` +
    `(${perSecond.toFixed(0)}/s), ` +
    `${String(once)} of them done exactly once, ${String(left)} left; middle third → last third: ` +
    `heap ${range(heap)} (${(heapGrowth * 100).toFixed(1)} %), rss ${range(rss)}, ` +
    `handles and listeners that grew: ${counts.join(', ') || 'none'}`
  )
}

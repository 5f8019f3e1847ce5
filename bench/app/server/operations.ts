import { setTimeout as pause } from 'node:timers/promises'
import { TaskQueue } from 'meteor/nschwarz:cluster'
import { burnAll } from '../../burn'
import { timed } from '../../clock'
import { latencies } from '../../latencies'
import type { Operations } from '../../protocol'
import { addAll } from './add'
import { countCommands } from '../../commands'
import { claimCost, client } from './commands'
import type { Completions } from './completions'
import { drain, drainMemory, memoryOf } from './drain'
import type { Gate } from './gate'
import { addProbe } from './tasks'

const WARM_UP_JOBS = 300
/** The master checks its workers every second. */
const UNTIL_WORKER_IS_GONE_MS = 1500
const YEAR_MS = 365 * 24 * 3600 * 1000

/** @param completions undefined if this process runs no jobs */
export function operationsOf(gate: Gate, completions: Completions | undefined): Partial<Operations> {
  return {
    ...adding(),
    countCommands: ms => countCommands(client(), ms),
    ...(completions === undefined ? {} : running(gate, completions)),
  }
}

function adding(): Partial<Operations> {
  return {
    warmUp: async () => {
      await TaskQueue.findOneAsync()
    },
    addOne: count =>
      timed(async () => {
        for (let index = 0; index < count; index++) await TaskQueue.addTask({ taskType: 'noop', data: {} })
      }),
    addMany: (count, size) => timed(() => addAll(count, () => ({ taskType: 'noop', data: {} }), size)),
    addProbe: () => addProbe(),
    schedule: async (count, priorities) => {
      const dueDate = new Date(Date.now() + YEAR_MS)
      await addAll(count, index => ({ taskType: 'noop', data: {}, dueDate, priority: index % priorities }))
    },
  }
}

function running(gate: Gate, completions: Completions): Partial<Operations> {
  const probe = async (add: () => Promise<unknown>) => {
    const latency = completions.next('probe')
    await add()
    return (await latency) as number
  }
  return {
    warmUp: async () => {
      await drain(gate, completions, { count: WARM_UP_JOBS, job: { name: 'noop' }, limit: Infinity })
      await drainMemory(gate, completions, WARM_UP_JOBS)
    },
    drain: request => drain(gate, completions, request),
    latency: samples => latencies(samples, () => probe(addProbe)),
    latencyWorkerAdded: samples =>
      latencies(samples, () => probe(() => TaskQueue.addTask({ taskType: 'addProbe', data: {} }))),
    latencyRun: samples => latencies(samples, () => timed(() => TaskQueue.run({ taskType: 'noop', data: {} }))),
    nextLatency: () => completions.next('probe') as Promise<number>,
    memoryDrain: count => drainMemory(gate, completions, count),
    memoryLatency: samples => latencies(samples, () => probe(() => addProbe(true))),
    memoryOf: count => memoryOf(gate, completions, count),
    claimCost: count => claimCost(gate, completions, count),
    burnHere: (count, iterations) => timed(() => burnAll(count, iterations)),
    workerBoot: samples => workerBoots(samples, completions),
  }
}

/** Needs a `keepAlive` that lets idle workers exit soon: a worker that is used again is no sample. */
async function workerBoots(samples: number, completions: Completions): Promise<number[]> {
  const boots = new Map<number, number>()
  while (boots.size < samples) {
    await pause(UNTIL_WORKER_IS_GONE_MS)
    const first = completions.next('age')
    await TaskQueue.addTask({ taskType: 'age', data: {}, inMemory: true })
    const { pid, age } = (await first) as { pid: number; age: number }
    if (!boots.has(pid)) boots.set(pid, age)
  }
  return [...boots.values()]
}

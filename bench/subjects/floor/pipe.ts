import { fork } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import type { Collection } from 'mongodb'
import { burnAll } from '../../burn'
import { now, timed } from '../../clock'
import { latencies } from '../../latencies'
import type { Drained, Operations } from '../../protocol'
import type { Asked } from './child'
import { type Children, ask } from './children'
import { type FloorTask, makeTask } from './claims'

const IN_FLIGHT = 32
const WARM_UP = 20_000

const NOOP: Asked = { id: 'floor', taskType: 'noop', data: {} }
const TIME: Asked = { id: 'floor', taskType: 'time', data: {} }

export function pipe(tasks: Collection<FloorTask>, children: Children): Partial<Operations> {
  const hop = () => ask(children.first, TIME)
  return {
    warmUp: () => children.exchange(WARM_UP, IN_FLIGHT, NOOP),
    latency: samples => latencies(samples, () => insertAndHop(tasks, hop)),
    memoryLatency: samples =>
      latencies(samples, async () => {
        const startedAt = now()
        return (await hop()) - startedAt
      }),
    memoryDrain: async (count): Promise<Drained> => ({
      jobs: count,
      ms: await timed(() => children.exchange(count, IN_FLIGHT, NOOP)),
    }),
    burnHere: (count, iterations) => timed(() => burnAll(count, iterations)),
    workerBoot: forkSeveral,
  }
}

/** Measures from before the insert until the message has arrived. */
async function insertAndHop(tasks: Collection<FloorTask>, hop: () => Promise<number>): Promise<number> {
  const task = makeTask(0)
  const startedAt = now()
  await tasks.insertOne(task)
  const latency = (await hop()) - startedAt
  await tasks.deleteOne({ _id: task._id })
  return latency
}

/** Keeps two messages on their way to each child, so that no child waits for the next one. */
export async function burnInChildren(children: Children, count: number, iterations: number): Promise<Drained> {
  const message: Asked = { id: 'floor', taskType: 'burn', data: { iterations } }
  return { jobs: count, ms: await timed(() => children.exchange(count, 2, message)) }
}

/** The boot times of Node alone, without a loader. */
async function forkSeveral(samples: number): Promise<number[]> {
  const boots: number[] = []
  for (let sample = 0; sample < samples; sample++) {
    const child = fork(path.join(import.meta.dirname, 'empty.js'), [], { execArgv: [] })
    const [uptime] = (await once(child, 'message')) as [number]
    boots.push(uptime)
    child.kill()
    await once(child, 'exit')
  }
  return boots
}

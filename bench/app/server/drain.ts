import { setTimeout as pause } from 'node:timers/promises'
import { TaskQueue, type NewTask } from 'meteor/nschwarz:cluster'
import { now, timed } from '../../clock'
import { collected, growth } from '../../memory'
import type { Drain, Drained, JobKind, Memory } from '../../protocol'
import { addAll } from './add'
import type { Completions } from './completions'
import type { Gate } from './gate'

/** Is started and stopped together with the measured part of a drain. */
export interface Watch {
  start(): void
  stop(): void
}

/**
 * While all workers are kept busy, the cluster claims tasks ahead for them. That saves a part of the work, so these
 * tasks do not count if the job itself does nothing.
 */
export async function drain(
  gate: Gate,
  completions: Completions,
  { count, job, limit }: Drain,
  watch?: Watch,
): Promise<Drained> {
  await gate.close()
  await addAll(count, () => toTask(job))
  const ahead = job.name === 'noop' ? count - (await TaskQueue.find({ state: 'waiting' }).countAsync()) : 0
  const before = completions.count(job.name)
  const last = completions.next(job.name, count)
  watch?.start()
  const startedAt = now()
  gate.open()
  await (limit === Infinity ? last : Promise.race([last, pause(limit, undefined, { ref: false })]))
  const ms = now() - startedAt
  watch?.stop()
  const jobs = completions.count(job.name) - before
  if (jobs < count) await TaskQueue.removeAsync({})
  await allIdle(gate)
  return { jobs: jobs - ahead, ms }
}

export async function drainMemory(gate: Gate, completions: Completions, count: number): Promise<Drained> {
  await gate.close()
  await addInMemory(count)
  const last = completions.next('noop', count)
  const ms = await timed(async () => {
    gate.open()
    await last
  })
  await allIdle(gate)
  return { jobs: count, ms }
}

export async function memoryOf(gate: Gate, completions: Completions, count: number): Promise<Memory> {
  await gate.close()
  const before = collected()
  await addInMemory(count)
  const after = collected()
  const last = completions.next('noop', count)
  gate.open()
  await last
  return growth(before, after)
}

function toTask(job: JobKind): NewTask {
  return {
    taskType: job.name,
    data: job.name === 'burn' ? { iterations: job.iterations, resultBytes: job.resultBytes ?? 0 } : {},
  }
}

async function addInMemory(count: number): Promise<void> {
  for (let index = 0; index < count; index++) await TaskQueue.addTask({ taskType: 'noop', data: {}, inMemory: true })
}

/** Once every worker runs a job that is added now, no earlier job is left in any of them. */
async function allIdle(gate: Gate): Promise<void> {
  await gate.close()
  gate.open()
}

import path from 'node:path'
import type { Operations, Settings } from '../protocol'
import { openBullmq } from './bullmq-queue'

/** Jobs run in child processes, one process for each job that runs at the same time. */
export async function open(settings: Settings): Promise<Partial<Operations>> {
  const processor = path.join(import.meta.dirname, 'workers/bullmq-processor.js')
  const { latencyWorkerAdded: _none, ...operations } = await openBullmq(settings, [settings.workers], () => processor)
  return operations
}

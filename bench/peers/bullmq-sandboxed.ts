import path from 'node:path'
import type { Operations, Settings } from '../protocol'
import { openBullmq } from './bullmq-queue'

/** Jobs run in child processes, as many as there are jobs at a time. */
export async function open(settings: Settings): Promise<Partial<Operations>> {
  const processor = path.join(import.meta.dirname, 'workers/bullmq-processor.js')
  const { latencyWorkerAdded: _none, ...operations } = await openBullmq(settings, [settings.workers], () => processor)
  return operations
}

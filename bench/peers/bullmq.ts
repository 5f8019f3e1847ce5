import type { Job } from 'bullmq'
import { burn } from '../burn'
import { now } from '../clock'
import type { Operations, Settings } from '../protocol'
import { addProbe, openBullmq } from './bullmq-queue'

/** The default of BullMQ is one job at a time. */
const CONCURRENCIES = [1, 10, 50, 100]

/** Jobs run in the process of the worker. */
export function open(settings: Settings): Promise<Partial<Operations>> {
  return openBullmq(settings, CONCURRENCIES, queue => async (job: Job<{ addedAt: number; iterations: number }>) => {
    if (job.name === 'probe') return now() - job.data.addedAt
    if (job.name === 'addProbe') await addProbe(queue)
    else burn(job.data.iterations)
    return undefined
  })
}

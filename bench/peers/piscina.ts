import { Piscina } from 'piscina'
import type { Operations, Settings } from '../protocol'
import { operationsOf } from './pools'

export function open({ workers }: Settings): Partial<Operations> {
  const filename = new URL('workers/pool-worker.js', import.meta.url).href
  const pool = new Piscina({ filename, minThreads: workers, maxThreads: workers })
  return operationsOf(job => pool.run(job), workers)
}

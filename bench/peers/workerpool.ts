import path from 'node:path'
import workerpool from 'workerpool'
import type { Operations, Settings } from '../protocol'
import { operationsOf } from './pools'

export function open({ workers }: Settings): Partial<Operations> {
  const script = path.join(import.meta.dirname, 'workers/workerpool-worker.js')
  const pool = workerpool.pool(script, { workerType: 'process', minWorkers: workers, maxWorkers: workers })
  return operationsOf(job => pool.exec('run', [job]), workers)
}

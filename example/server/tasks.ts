/** The functions of this app's tasks, by `taskType`. They run in the workers. */
import type { Job } from 'meteor/nschwarz:cluster'
import { CORRUPT } from './corrupt-flag'
import { listFlags } from './flags'
import { BASELINE, GALLERY } from './output'
import { renderFlag } from './render'
import { report } from './report'

/** What the comparison found. */
export interface Baseline {
  readonly milliseconds: number
  /** From the start of the worker's process to that of its first job, which was waiting for it. */
  readonly bootMilliseconds: number
}

/** Which worker rendered a flag. */
export interface Rendered {
  readonly pid: number
}

/** The comparison: one process renders every flag but the corrupt one, which would end it. */
async function baseline(): Promise<Baseline> {
  const bootMilliseconds = process.uptime() * 1000
  const startedAt = performance.now()
  for (const { code } of await listFlags()) {
    if (code !== CORRUPT.code) await renderFlag(code, BASELINE)
  }
  return { milliseconds: performance.now() - startedAt, bootMilliseconds }
}

async function render(job: Job<{ code: string }>): Promise<Rendered> {
  await renderFlag(job.data.code, GALLERY)
  return { pid: process.pid }
}

export const taskMap = { baseline, render, report }

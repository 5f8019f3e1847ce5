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
}

/** Which worker rendered a flag. */
export interface Rendered {
  readonly pid: number
  /** Time of day, in milliseconds. */
  readonly startedAt: number
  /** From the start of the worker's process to that of this job; of its first, this is how long it took to boot. */
  readonly bootMilliseconds: number
}

/** The comparison: one process renders every flag but the corrupt one, which would end it. */
async function baseline(): Promise<Baseline> {
  const startedAt = performance.now()
  for (const { code } of await listFlags()) {
    if (code !== CORRUPT.code) await renderFlag(code, BASELINE)
  }
  return { milliseconds: performance.now() - startedAt }
}

async function render(job: Job<{ code: string }>): Promise<Rendered> {
  const started = { pid: process.pid, startedAt: Date.now(), bootMilliseconds: process.uptime() * 1000 }
  await renderFlag(job.data.code, GALLERY)
  return started
}

export const taskMap = { baseline, render, report }

/** Finds whether a job was cut short by its worker's exit, and why the worker exited. */
import type { History, Job, TaskHistory } from '../history'
import type { Life } from '../lives'
import { deathOf, endingOf, outages, overlap, pausedWithin, stopsOf } from './pauses'

/** For this long after its end, a job's outcome may not be in the pipe yet, and is lost if the worker is killed. */
export const IN_THE_WORKER_MS = 1000
/** A large result takes longer. */
const MS_PER_MEGABYTE = 1000
const MEGABYTE = 1024 * 1024

/** How long a master may take to kill a worker, once it has to end a job or finds that it has lost it. */
const KILLED_WITHIN_MS = 5000

/** The earliest moment at which this worker may have been gone; undefined if it was not. */
export function workerGoneFrom(history: History, worker: Life): number | undefined {
  const from = Math.min(deathOf(history, worker) ?? Infinity, worker.aliveAt)
  return from === Infinity ? undefined : from
}

/** Whether the worker exited before the outcome of this job had left it, as far as can be known. */
export function diedWithWorker(history: History, { plan }: TaskHistory, job: Job): boolean {
  const gone = workerGoneFrom(history, job.worker)
  if (gone === undefined) return false
  if (job.end === undefined) return true
  const paused = pausedWithin(stopsOf(history, job.worker), job.end.at, gone)
  const size = ((plan.bytes?.result ?? 0) / MEGABYTE) * MS_PER_MEGABYTE
  return gone - job.end.at - paused < IN_THE_WORKER_MS + size
}

/** Whether something recorded explains why this worker exited while it had jobs. */
export function hasCauseOfDeath(history: History, worker: Life): boolean {
  const gone = workerGoneFrom(history, worker)
  if (gone === undefined) return false
  if (deathOf(history, worker) !== undefined) return true
  const master = history.lives.at(worker.parent, worker.from)
  if (master === undefined || (endingOf(history, master) ?? Infinity) <= worker.goneAt) return true
  // A job may have ended because it was aborted, and its outcome may not have left: then its worker is killed for it.
  const isLeft = ({ end }: Job) => end === undefined || gone - end.at < IN_THE_WORKER_MS
  const jobs = history.jobs.filter(job => job.worker === worker && isLeft(job))
  const disturbances = [...outages(history), ...stopsOf(history, master)]
  const lately = { from: gone - history.settings.lease - KILLED_WITHIN_MS, until: gone }
  return jobs.some(job => endsItsWorker(history, job, gone)) || disturbances.some(pause => overlap(pause, lately) > 0)
}

/** Whether this job kills its worker, or its master may have wanted to end it by then. */
function endsItsWorker({ tasks }: History, job: Job, gone: number): boolean {
  const { claimedAt, incarnation, kind, startedAt } = job
  if (kind === 'dying' || kind === 'dyingOnce') return true
  const task = tasks.find(({ plan }) => plan.incarnation === incarnation)
  // From its claim on: a job that is withdrawn on its way to the worker is aborted when it starts.
  const since = claimedAt ?? startedAt
  const isWithdrawn = task?.acts.some(({ found, from, until }) => found !== false && until >= since && from <= gone)
  return task?.plan.timeout !== undefined || isWithdrawn === true
}

/** Whether a job took longer than it may: its last sign of life, or its worker's exit, came after its timeout. */
export function hasOverrun({ plan }: TaskHistory, job: Job): boolean {
  const { timeout } = plan
  if (timeout === undefined) return false
  const endedAt = job.end?.at ?? (job.worker.goneAt === Infinity ? job.lastAt : job.worker.goneAt)
  return endedAt - job.toldAt >= timeout - TIMER_TOLERANCE_MS
}

/** Timers count from the turn in which they are set. */
const TIMER_TOLERANCE_MS = 20

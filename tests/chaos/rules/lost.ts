import { type History, type Job, type Rule, type TaskHistory, type Violation, only } from '../history'
import type { EntryOf, Failure } from '../log'
import { PLANNED_ERROR } from '../planned'
import { ON_ITS_WAY_MS, deathOf, outages, pausedWithin, stopsOf } from './pauses'
import { IN_THE_WORKER_MS, hasOverrun } from './worker-deaths'

const CRASH_ERROR = 'WorkerCrashError'
const TIMEOUT_ERROR = 'TaskTimeoutError'

/** Every task whose adding was acknowledged, and that nobody can have withdrawn, ended as its kind must. */
export const lost: Rule = history =>
  history.tasks.flatMap(task => {
    if (task.addedAt === undefined || task.isWithdrawn) return []
    const fault = faultOf(history, task)
    return fault === undefined ? [] : [violation(task, fault)]
  })

function faultOf(history: History, task: TaskHistory): string | undefined {
  if (hasForeignValue(task)) return 'was done with a value that no job of it returned'
  const error = task.events.find(({ type }) => type === 'error')
  const last = isRetried(task) ? undefined : error?.error
  const reason = last ?? (task.left?.state === 'failed' ? task.left.error : null)
  if (reason !== null && !isStatedReason(history, task, reason)) return `failed with ${reason.name}: ${reason.message}`
  if (reason !== null || hasFailed(task)) {
    return error !== undefined || task.jobs.some(job => diedWithEvent(history, job))
      ? undefined
      : 'failed without an event'
  }
  if (task.left !== undefined) return `is left in the queue as ${task.left.state}`
  if (task.events.some(({ type }) => type === 'done')) return undefined
  const isDone = task.jobs.some(job => job.end?.how === 'done' && diedWithEvent(history, job))
  return isDone ? undefined : 'is gone without an outcome'
}

/** The last state counts, since a failed task is deleted after `keepFailed`. */
function hasFailed({ stored }: TaskHistory): boolean {
  return stored.findLast(({ state }) => state !== null)?.state === 'failed'
}

function hasForeignValue({ events, jobs }: TaskHistory): boolean {
  const tokens = new Set(jobs.map(({ token }) => token))
  return events.some(({ type, token }) => type === 'done' && token !== null && !tokens.has(token))
}

/** The first failure of a retried task is not its end. */
function isRetried({ acts }: TaskHistory): boolean {
  return acts.some(({ method, found }) => method === 'retry' && found !== false)
}

/**
 * Invariant 3: store first, emit second. So an event may be lost with its master, if that dies soon after the job ended
 * or its worker died.
 */
function diedWithEvent(history: History, { master, worker, end, lastAt }: Job): boolean {
  if (master === undefined) return false
  const endedAt = end?.at ?? lastAt
  const death = deathOf(history, master)
  if (death === undefined || death < endedAt) return false
  const pauses = [...outages(history), ...stopsOf(history, master), ...stopsOf(history, worker)]
  return death - endedAt - pausedWithin(pauses, endedAt, death) < ON_ITS_WAY_MS
}

function isStatedReason(history: History, task: TaskHistory, { name }: Failure): boolean {
  const { plan, jobs } = task
  if (name === CRASH_ERROR) {
    const crashes = jobs.filter(job => killedItsWorker(history, job)).length + cutShort(history, task)
    return crashes >= history.settings.maxCrashes
  }
  const retries = task.acts.filter(({ method, found }) => method === 'retry' && found === true).length
  const minAttempts = (1 + plan.retries) * (1 + retries)
  if (name === TIMEOUT_ERROR) return jobs.filter(job => hasOverrun(task, job)).length >= minAttempts
  const isPlanned = plan.kind === 'failing' || (plan.kind === 'retrying' && plan.failures > plan.retries)
  const failed = jobs.filter(({ end }) => end?.how === 'failed').length
  return isPlanned && name === PLANNED_ERROR && failed >= minAttempts
}

function killedItsWorker(history: History, job: Job): boolean {
  if (job.end === undefined && (job.kind === 'dying' || job.kind === 'dyingOnce')) return true
  const death = deathOf(history, job.worker)
  if (death === undefined || death < job.startedAt) return false
  if (job.end === undefined) return true
  return death - job.end.at - pausedWithin(stopsOf(history, job.worker), job.end.at, death) < IN_THE_WORKER_MS
}

/** A worker reports a start just before the job can log it. Counts how often a worker was killed in between. */
function cutShort(history: History, { plan, jobs }: TaskHistory): number {
  const started = new Set(jobs.map(({ token }) => token))
  return only(history.entries, 'received').filter(({ incarnation, token, pid, at }) => {
    if (incarnation !== plan.incarnation || started.has(token)) return false
    const worker = history.lives.at(pid, at)
    const death = worker && deathOf(history, worker)
    return death !== undefined && death >= at && death - at < IN_THE_WORKER_MS
  }).length
}

function violation({ plan, jobs, events, left }: TaskHistory, fault: string): Violation {
  const shown: EntryOf<'left'>[] = left === undefined ? [] : [left]
  return { rule: 'lost', text: `${plan.kind} ${plan.id} ${fault}`, evidence: [plan, ...jobs, ...events, ...shown] }
}

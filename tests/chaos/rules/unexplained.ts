import type { History, Job, Rule, TaskHistory } from '../history'
import {
  ON_ITS_WAY_MS,
  type Pause,
  endingOf,
  leaseMayEndIn,
  outages,
  overlap,
  pausedWithin,
  stopsOf,
  withoutRenewal,
} from './pauses'
import { diedWithWorker, hasCauseOfDeath, hasOverrun } from './worker-deaths'

/**
 * A task runs again only for a recorded reason: something happened to its previous job or to that job's processes, or
 * somebody retried it.
 */
export const unexplained: Rule = history =>
  history.tasks.flatMap(task =>
    pairsInOrder(task.jobs)
      .filter(([former, next]) => !isJudgedElsewhere(task, former, next))
      .filter(([former, next]) => isDone(task, former, next) || !isExplained(history, task, former, next))
      .map(([former, next]) => ({
        rule: 'unexplained',
        text: `${task.plan.kind} ${task.plan.id}: nothing explains job ${next.token} after ${former.token}`,
        evidence: [task.plan, ...task.acts, former, next, ...task.events, ...task.stored],
      })),
  )

/** Overlapping jobs, and a task that is done twice, break other rules. */
function isJudgedElsewhere({ events }: TaskHistory, former: Job, next: Job): boolean {
  const isTwice = [former, next].every(({ token }) =>
    events.some(event => event.type === 'done' && event.token === token),
  )
  return isTwice || former.lastAt > next.startedAt
}

/** In the order of their claims, since jobs may reach their workers late. */
export function inOrder(jobs: readonly Job[]): Job[] {
  return [...jobs].sort((a, b) => claimOf(a) - claimOf(b))
}

export function claimOf({ claimedAt, startedAt }: Job): number {
  return claimedAt ?? startedAt
}

function pairsInOrder(jobs: readonly Job[]): [Job, Job][] {
  const sorted = inOrder(jobs)
  return sorted.slice(1).map((next, index) => [sorted[index] ?? next, next])
}

/** Whether the former job counts as done: then nothing explains another one. */
function isDone({ events }: TaskHistory, former: Job, next: Job): boolean {
  return events.some(({ type, token, at }) => type === 'done' && token === former.token && at < claimOf(next))
}

function isExplained(history: History, task: TaskHistory, former: Job, next: Job): boolean {
  return (
    isNextAttempt(task, former) ||
    isRetried(task, former, next) ||
    (diedWithWorker(history, task, former) && hasCauseOfDeath(history, former.worker)) ||
    wasDisturbed(history, former, next)
  )
}

function isNextAttempt(task: TaskHistory, job: Job): boolean {
  const hasRetries = task.plan.retries > 0
  return hasRetries && (job.end?.how === 'failed' || hasOverrun(task, job))
}

function isRetried({ acts }: TaskHistory, former: Job, next: Job): boolean {
  return acts.some(
    ({ method, found, from, until }) =>
      method === 'retry' && found !== false && until >= former.startedAt && from <= claimOf(next),
  )
}

/**
 * Whether its master ended or could not renew, or the database was down, before the outcome of the job can have been
 * stored.
 */
function wasDisturbed(history: History, former: Job, next: Job): boolean {
  const { lease } = history.settings
  const span = { from: claimOf(former), until: claimOf(next) }
  const { master } = former
  const stops = master === undefined ? [] : stopsOf(history, master)
  const ending = master && endingOf(history, master)
  const away = outages(history)
  const causes: Pause[] = [
    ...(ending === undefined ? [] : [{ from: ending, until: Infinity }]),
    ...withoutRenewal([...stops, ...away], lease).filter(pause => overlap(pause, span) >= leaseMayEndIn(history)),
    ...away,
  ]
  const pauses = [...stops, ...stopsOf(history, former.worker), ...away]
  return causes.some(cause => meets(cause, span) && !isStoredBy(former, cause.from, pauses))
}

function meets(a: Pause, b: Pause): boolean {
  return a.from <= b.until && b.from <= a.until
}

/** Whether the outcome of a job had enough time to be stored by then. */
function isStoredBy({ end }: Job, at: number, pauses: readonly Pause[]): boolean {
  return end !== undefined && at - end.at - pausedWithin(pauses, end.at, at) >= ON_ITS_WAY_MS
}

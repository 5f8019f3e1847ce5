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
 * A task runs again only for a reason that was recorded: what happened to the job before, or to its processes, or a
 * retry.
 */
export const unexplained: Rule = history =>
  history.tasks.flatMap(task =>
    pairsInOrder(task.jobs)
      .filter(([former, next]) => !isJudgedElsewhere(task, former, next))
      .filter(([former, next]) => isTold(task, former, next) || !isExplained(history, task, former, next))
      .map(([former, next]) => ({
        rule: 'unexplained',
        text: `${task.plan.kind} ${task.plan.id}: nothing explains job ${next.token} after ${former.token}`,
        evidence: [task.plan, ...task.acts, former, next, ...task.events, ...task.stored],
      })),
  )

/** Jobs side by side, and a task that ends twice, break rules of their own. */
function isJudgedElsewhere({ events }: TaskHistory, former: Job, next: Job): boolean {
  const isTwice = [former, next].every(({ token }) =>
    events.some(event => event.type === 'done' && event.token === token),
  )
  return isTwice || former.lastAt > next.startedAt
}

/** By when they were claimed, since jobs may reach their workers late. */
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

/** Whether it counts as done: then nothing explains another job. */
function isTold({ events }: TaskHistory, former: Job, next: Job): boolean {
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
 * Its master ended or could not renew, or the database was away, before the outcome of the job can have been stored.
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

/** Whether the outcome of a job had time enough to be stored until then. */
function isStoredBy({ end }: Job, at: number, pauses: readonly Pause[]): boolean {
  return end !== undefined && at - end.at - pausedWithin(pauses, end.at, at) >= ON_ITS_WAY_MS
}

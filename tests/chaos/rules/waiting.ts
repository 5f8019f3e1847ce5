import { Clock } from '../clock'
import { type History, type Rule, type Stored, type TaskHistory, type Violation, only } from '../history'
import { type Pause, endingOf, overlap, stopsOf, without } from './pauses'
import { maybePaused } from './paused'
import { type Idleness, endOfRun, idleness, lostWorker } from './slots'

/** A failed write is repeated after at most this time, and so is a failed poll. */
const REPEATED_WITHIN_MS = 5000

/** The pause before the next attempt, in the load. */
const BACKOFF_MS = 200

/** How long a rescue may take once the holder is gone and its lease has expired. */
const RESCUED_WITHIN_MS = 2000

/**
 * No due task waits for long beside a slot that could run it. The bound is the worst that may happen without a trace: a
 * poll has to find a claim whose acknowledgement was lost, that has to expire, and another poll has to find it again.
 * Time does not count while the database is down, or while the holder of the claim is stopped or has just died.
 */
export const waiting: Rule = history => {
  const idle = idleness(history)
  const { lease, refreshRate } = history.settings
  const bound = lease + 4 * refreshRate + REPEATED_WITHIN_MS * history.slowness
  return history.tasks.flatMap(task =>
    waits(history, task).flatMap(wait => {
      const waited = waitedBeside(history, task, wait, idle)
      return waited > bound ? [violation(task, wait, waited)] : []
    }),
  )
}

function waitedBeside(history: History, task: TaskHistory, wait: Pause, { any, alone }: Idleness): number {
  const slots = lostWorker(history.jobs, task.plan.incarnation) ? alone : any
  const beside = slots.map(slot => clip(slot, wait)).filter(({ from, until }) => until > from)
  const excuses = [
    ...task.stored.filter(({ token }) => token !== null).flatMap(claim => excusesOf(history, claim)),
    ...(task.plan.kind === 'pausable' ? maybePaused(history) : []),
    ...(task.plan.kind === 'limited' ? limitedClaims(history) : []),
  ]
  return without(beside, excuses).reduce((sum, { from, until }) => sum + until - from, 0)
}

/** When a master held a claim of the limited type: others of the type may wait beside its idle slots. */
function limitedClaims({ tasks }: History): Pause[] {
  const ofType = tasks.filter(({ plan }) => plan.kind === 'limited')
  return ofType.flatMap(({ stored }) => stored.filter(({ token }) => token !== null))
}

/** When nothing could be done about a task that this claim holds. */
function excusesOf(history: History, claim: Stored): Pause[] {
  const { all } = history.lives
  const holders = all.filter(({ pid }) => claim.owner === null || claim.owner === pid)
  const stops = all
    .filter(life => holders.some(({ pid }) => life.pid === pid || life.parent === pid))
    .flatMap(life => stopsOf(history, life))
  const ends = holders.flatMap(holder => {
    const from = endingOf(history, holder)
    return from === undefined
      ? []
      : [{ from, until: from + history.settings.lease + RESCUED_WITHIN_MS * history.slowness }]
  })
  return [...stops, ...ends].map(pause => clip(pause, claim)).filter(pause => overlap(pause, claim) > 0)
}

function clip(pause: Pause, { from, until }: Pause): Pause {
  return { from: Math.max(pause.from, from), until: Math.min(pause.until, until) }
}

/** Each span from when the task was due, and free or claimed, until its job started or it was withdrawn. */
function waits(history: History, task: TaskHistory): Pause[] {
  const startOf = new Map(task.jobs.map(({ token, startedAt }) => [token, startedAt]))
  const result: Pause[] = []
  let since: number | undefined
  const end = (until: number) => {
    if (since !== undefined) result.push({ from: since, until })
    since = undefined
  }
  for (const change of task.stored) {
    const due = dueIn(history, task, change)
    if (due === undefined) end(change.from)
    else since ??= due
    const started = change.token === null ? undefined : startOf.get(change.token)
    if (started !== undefined) end(Math.max(since ?? started, started))
  }
  end(endOfRun(history))
  return result
}

/** From when the task should be started in this state; undefined if it should not. */
function dueIn(
  history: History,
  { plan }: TaskHistory,
  { from, state, isCancelRequested }: Stored,
): number | undefined {
  if (isCancelRequested) return undefined
  switch (state) {
    case 'waiting':
    case 'running':
      return from
    case 'scheduled': {
      const due = plan.due === null ? from : new Clock(only(history.entries, 'clock')).monotonic(plan.due)
      return Math.max(due, from + BACKOFF_MS)
    }
    default:
      return undefined
  }
}

function violation({ plan, jobs, events, stored }: TaskHistory, { from, until }: Pause, waited: number): Violation {
  const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(1)} s`
  return {
    rule: 'waiting',
    text: `${plan.kind} ${plan.id} waited ${seconds(until - from)}, ${seconds(waited)} of it beside an idle slot`,
    evidence: [plan, { waitedFrom: from, waitedUntil: until }, ...jobs, ...events, ...stored],
  }
}

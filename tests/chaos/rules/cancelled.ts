import type { ActCall, History, Job, Rule, Stored, TaskHistory } from '../history'
import type { Life } from '../lives'
import {
  ON_ITS_WAY_MS,
  endingOf,
  leaseMayEndIn,
  outages,
  overlap,
  pausedWithin,
  stopsOf,
  withoutRenewal,
} from './pauses'

/** How long a cancellation may take to reach a job, in addition to one poll. */
const HEARD_WITHIN_MS = 1000

/** How long the event of a cancelled task that waited may take: no job has to end, and no outcome to be written. */
const EMITTED_WITHIN_MS = 2000

/** The log's clocks are read one after another, and the database's clock has whole milliseconds. */
const TOLERANCE_MS = 5

/**
 * After a cancellation was acknowledged, a task that waited is never started. A claimed one may start only while the
 * request may be on its way. The task ends as cancelled: with one event if the master that owes it lives, else with at
 * most one.
 */
export const cancelled: Rule = history =>
  history.tasks.flatMap(task => {
    const calls = task.acts.filter(({ method, found }) => method === 'cancel' && found === true)
    const faults = [
      ...calls.flatMap(call => startedAfter(history, task, call)),
      ...calls.flatMap(call => endedOtherwise(task, call)),
      ...calls.flatMap(call => revived(task, call)),
      ...eventFaults(history, task),
    ]
    const { plan, acts, jobs, events, stored } = task
    const evidence = [plan, ...acts, ...jobs, ...events, ...stored]
    return faults.map(fault => ({ rule: 'cancelled', text: `${plan.kind} ${plan.id} ${fault}`, evidence }))
  })

function startedAfter(history: History, task: TaskHistory, call: ActCall): string[] {
  const wasWaiting = holderBefore(task, call) === null
  return task.jobs
    .filter(({ startedAt }) => startedAt > call.until + TOLERANCE_MS && startedAt < retriedAfter(task, call))
    .filter(job => {
      const isClaimedAfter = (job.claimedAt ?? 0) > call.until + TOLERANCE_MS
      return wasWaiting || isClaimedAfter || job.startedAt - call.until > maxDelay(history, job, call.until)
    })
    .map(({ startedAt }) => `was started ${(startedAt - call.until).toFixed(0)} ms after it was cancelled`)
}

/** When a task may have been retried after this call; Infinity if never. */
function retriedAfter({ acts }: TaskHistory, { from, until }: ActCall): number {
  const retries = acts.filter(other => other.method === 'retry' && other.found !== false && other.until >= from)
  const first = Math.min(...retries.map(retry => retry.from))
  return first < until ? from : first
}

/** How many milliseconds may pass until the job's worker knows. */
function maxDelay(history: History, { master, worker, startedAt }: Job, from: number): number {
  const stops = [...(master === undefined ? [] : stopsOf(history, master)), ...stopsOf(history, worker)]
  const paused = pausedWithin([...stops, ...outages(history)], from, startedAt)
  return history.settings.refreshRate + HEARD_WITHIN_MS * history.slowness + paused
}

function endedOtherwise(task: TaskHistory, call: ActCall): string[] {
  const { acts, events, left, stored } = task
  if (retriedAfter(task, call) < Infinity) return []
  const retries = acts.filter(({ method, found }) => method === 'retry' && found !== false).length
  const errors = events.filter(({ type }) => type === 'error').length
  const isRemoved = acts.some(({ method, found }) => method === 'remove' && found !== false)
  const last = stored.findLast(({ state }) => state !== null)?.state ?? left?.state
  return [
    ...(events.some(({ type }) => type === 'done') ? ['was cancelled, but is done'] : []),
    ...(errors > retries ? ['was cancelled, but failed'] : []),
    ...(isRemoved || last === undefined || last === 'cancelled' ? [] : [`was cancelled, but ended as ${last}`]),
  ]
}

/** Once a task is `cancelled`, only a retry changes its state. */
function revived(task: TaskHistory, call: ActCall): string[] {
  const { stored } = task
  return stored
    .filter(({ state }, index) => stored[index - 1]?.state === 'cancelled' && state !== 'cancelled' && state !== null)
    .filter(({ from }) => from > call.from && from < retriedAfter(task, call) - TOLERANCE_MS)
    .map(({ state }) => `was cancelled, but became ${String(state)} without a retry`)
}

function eventFaults(history: History, task: TaskHistory): string[] {
  const { acts, events } = task
  const calls = acts.filter(({ method, found }) => method === 'cancel' && found !== false)
  const emitted = events.filter(({ type }) => type === 'cancelled').length
  const retries = acts.filter(({ method, found }) => method === 'retry' && found !== false).length
  // Even more events break the rule `completed twice`.
  if (emitted > calls.length && emitted <= 1 + retries)
    return [`had ${String(emitted)} cancelled events, but was cancelled less often`]
  const [call] = calls
  const isRemoved = acts.some(({ method, found }) => method === 'remove' && found !== false)
  const isMissing = emitted === 0 && call?.found === true && !isRemoved && calls.length === 1
  return isMissing && isOwed(history, task, call) ? ['was cancelled without an event, although the master lived'] : []
}

/** Whether a master certainly owed the event, and lived long enough to emit it. */
function isOwed(history: History, task: TaskHistory, call: ActCall): boolean {
  const holder = holderBefore(task, call)
  if (holder === undefined) return false
  if (holder !== null) return holdsUntilEmitted(history, task, call, holder)
  const canceller = history.lives.at(call.pid, call.from)
  const role = history.entries.find(entry => entry.what === 'process' && entry.pid === call.pid)
  if (canceller === undefined || role?.what !== 'process' || role.role === 'web') return false
  const master = role.role === 'worker' ? history.lives.at(canceller.parent, call.from) : canceller
  const required = EMITTED_WITHIN_MS * history.slowness
  return master !== undefined && [canceller, master].every(life => livesOn(history, life, call.until, required))
}

/** Whether the holder kept its claim until it emitted: another master may settle what it could not renew. */
function holdsUntilEmitted(history: History, task: TaskHistory, call: ActCall, { owner, token }: Stored): boolean {
  const { jobs } = task
  const { lease } = history.settings
  const job = jobs.find(one => one.token === token)
  const master = job?.master ?? (owner === null ? undefined : history.lives.at(owner, call.from))
  if (master === undefined) return false
  const [from, until] = [job?.claimedAt ?? call.from, Math.max(call.until, job?.lastAt ?? 0)]
  const pauses = withoutRenewal([...stopsOf(history, master), ...outages(history)], lease)
  const isRenewed = pauses.every(pause => overlap(pause, { from, until: until + lease }) < leaseMayEndIn(history))
  return isRenewed && livesOn(history, master, until, ON_ITS_WAY_MS)
}

/** Whether it lives on for `required` milliseconds in which nothing is stopped. */
function livesOn(history: History, life: Life, from: number, required: number): boolean {
  const end = Math.min(endingOf(history, life) ?? Infinity, life.aliveAt)
  if (end === Infinity) return true
  return end - from - pausedWithin([...stopsOf(history, life), ...outages(history)], from, end) >= required
}

/** Who held the task when it was cancelled: null for nobody, undefined if that is unknown. */
function holderBefore({ stored }: TaskHistory, call: ActCall): Stored | null | undefined {
  const effect = stored.findIndex(
    ({ from, state, isCancelRequested }) =>
      from >= call.from - TOLERANCE_MS &&
      from <= call.until + TOLERANCE_MS &&
      (state === 'cancelled' || isCancelRequested),
  )
  const before = stored[effect - 1]
  if (before === undefined) return undefined
  return before.token === null ? null : before
}

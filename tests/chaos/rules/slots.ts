/**
 * Finds when a job could have been started at once: by a worker with a free slot, or by one that a master should have
 * had long before.
 */
import { type History, type Job, only } from '../history'
import type { Life } from '../lives'
import type { EntryOf } from '../log'
import { type Pause, endingOf, joined, outages, stopsOf, without } from './pauses'
import { workerGoneFrom } from './worker-deaths'

/** A worker may take this long to boot, plus twice the boot time of the slowest server of the run. */
const BOOT_MS = 10_000

/** How long a master may take to know that the database is back, and to repeat what failed meanwhile. */
const BACK_MS = 5000

/** Shorter gaps lie between one job and the next. */
const MIN_IDLE_MS = 1000

export interface Idleness {
  /** When some worker could have started a job beside those that it had. */
  readonly any: readonly Pause[]
  /** When some worker had no job at all: a task that is suspected of killing workers runs alone. */
  readonly alone: readonly Pause[]
}

type Ready = EntryOf<'ready'>

export function idleness(history: History): Idleness {
  const ready = only(history.entries, 'ready')
  const missing = ready.flatMap(entry => missingWorkers(history, entry))
  const collect = (canShare: boolean) =>
    joined([...ready.flatMap(entry => idleIn(history, entry, canShare)), ...missing], 0)
  return { any: collect(true), alone: collect(false) }
}

/** When the observed part of a run ends. Then the masters are stopped. */
export function endOfRun({ entries }: History): number {
  return only(entries, 'drain')[0]?.at ?? entries.at(-1)?.at ?? 0
}

/** When this worker had a free slot. */
function idleIn(history: History, ready: Ready, canShare: boolean): Pause[] {
  const worker = history.lives.at(ready.pid, ready.at)
  const master = worker && masterOf(history, worker)
  if (worker === undefined || master === undefined) return []
  const jobs = history.jobs.filter(job => job.worker === worker).sort((a, b) => a.startedAt - b.startedAt)
  const last = jobs[(ready.maxJobs ?? Infinity) - 1]?.startedAt
  const gone = workerGoneFrom(history, worker)
  const until = Math.min(gone ?? Infinity, endingOf(history, master) ?? Infinity, last ?? Infinity, endOfRun(history))
  const slots = canShare ? ready.slots : 1
  const busy = [
    ...whenFull(jobs, slots),
    ...jobs.filter(job => runsAlone(history, job)).map(spanOf),
    ...(canShare ? whenReserved(history, master) : []),
  ]
  const idle = without([{ from: ready.at, until }], [...busy, ...unable(history, master), ...stopsOf(history, worker)])
  return idle.filter(({ from, until: end }) => end - from >= MIN_IDLE_MS * history.slowness)
}

/**
 * When this master held a task that must run alone, until its job started: a worker gets no other jobs until those that
 * it has are done. (For the task itself, a worker without jobs counts as idle all the same, by `alone`.)
 */
function whenReserved({ tasks }: History, master: Life): Pause[] {
  return tasks.flatMap(({ plan, stored, jobs }) =>
    stored
      .filter(({ token, owner, from }) => token !== null && owner === master.pid && master.from <= from)
      .filter(({ from }) =>
        lostWorker(
          jobs.filter(job => job.startedAt < from),
          plan.incarnation,
        ),
      )
      .map(({ from, until, token }) => {
        const started = jobs.find(job => job.token === token)?.startedAt
        return { from, until: Math.min(until, started ?? Infinity) }
      }),
  )
}

/** When this master should have had another worker. It should always have all of them. */
function missingWorkers(history: History, ready: Ready): Pause[] {
  const master = history.lives.at(ready.pid, ready.at)
  if (master === undefined || !isMaster(history, master)) return []
  const until = Math.min(endingOf(history, master) ?? Infinity, endOfRun(history))
  const lives = history.lives.all
    .filter(life => life.parent === master.pid && life.from >= master.from && life.from < until)
    .map(life => ({ from: life.from, until: Math.min(workerGoneFrom(history, life) ?? Infinity, until) }))
  const boot = BOOT_MS + 2 * Math.max(...only(history.entries, 'ready').map(({ bootedIn }) => bootedIn))
  const excused = [...whenOverlapping(lives, ready.workers), ...attackedAtBoot(history), ...unable(history, master)]
  return without([{ from: ready.at, until }], excused)
    .map(part => ({ from: part.from + boot, until: part.until }))
    .filter(part => part.until > part.from)
}

/** Attacks on workers of any master that had logged nothing yet: another worker has to boot. */
function attackedAtBoot({ attacks, lives }: History): Pause[] {
  return attacks
    .filter(
      ({ kind, targets, from }) => kind.endsWith('-worker') && targets.some(pid => lives.at(pid, from) === undefined),
    )
    .map(({ from, until }) => ({ from, until: until + 1 }))
}

/** When this master could not start anything. */
function unable(history: History, master: Life): Pause[] {
  const away = outages(history).map(({ from, until }) => ({ from, until: until + BACK_MS * history.slowness }))
  return [...away, ...stopsOf(history, master).map(({ from, until }) => ({ from, until: until + MIN_IDLE_MS }))]
}

/** Whether no other job runs beside this one, since it blocks its worker or may kill it. */
function runsAlone(history: History, { kind, incarnation }: Job): boolean {
  return kind === 'blocking' || kind === 'dying' || kind === 'dyingOnce' || lostWorker(history.jobs, incarnation)
}

/** Whether a job of this task was cut short by its worker's exit, so that the task may be suspected. */
export function lostWorker(jobs: readonly Job[], incarnation: string): boolean {
  return jobs.some(job => job.incarnation === incarnation && job.end === undefined && job.worker.goneAt < Infinity)
}

function whenFull(jobs: readonly Job[], slots: number): Pause[] {
  return whenOverlapping(jobs.map(spanOf), slots)
}

function spanOf({ startedAt, lastAt }: Job): Pause {
  return { from: startedAt, until: lastAt }
}

/** When at least `count` of these spans overlap. */
function whenOverlapping(spans: readonly Pause[], count: number): Pause[] {
  const changes = spans.flatMap(({ from, until }) => [
    { at: from, by: 1 },
    { at: until, by: -1 },
  ])
  const result: Pause[] = []
  let level = 0
  let since: number | undefined
  for (const { at, by } of changes.sort((a, b) => a.at - b.at || a.by - b.by)) {
    level += by
    if (level >= count) since ??= at
    else if (since !== undefined) {
      result.push({ from: since, until: at })
      since = undefined
    }
  }
  return result
}

function masterOf(history: History, worker: Life): Life | undefined {
  const parent = history.lives.at(worker.parent, worker.from)
  return parent !== undefined && isMaster(history, parent) ? parent : undefined
}

function isMaster({ entries }: History, life: Life): boolean {
  return only(entries, 'process').some(({ role, pid, at }) => role === 'master' && pid === life.pid && at === life.from)
}

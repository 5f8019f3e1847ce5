/** Turns the entries of a run's log into processes, jobs and tasks. Pure. */
import { Clock } from './clock'
import { Lives, type Life } from './lives'
import type { Act, Entry, EntryOf, Kind, Plan, TaskName } from './log'

export interface Settings {
  /** Milliseconds. */
  readonly lease: number
  readonly maxCrashes: number
  /** Milliseconds. */
  readonly refreshRate: number
  /** Milliseconds that a job has to end after it was aborted. */
  readonly abortGrace: number
  /** Whether there are attacks. Without them, each task has to run exactly as often as it is meant to. */
  readonly hasNemesis: boolean
}

export interface Job extends TaskName {
  readonly token: string
  readonly kind: Kind
  readonly attempt: number
  readonly worker: Life
  readonly master: Life | undefined
  /** When its claim was written; undefined if the change stream did not report it. */
  readonly claimedAt: number | undefined
  /** When the start was reported to its master, before the function was called. */
  readonly toldAt: number
  readonly startedAt: number
  /** The last sign of life. */
  readonly lastAt: number
  readonly end: EntryOf<'end'> | undefined
}

/** What the database held of a task, `from` when it was written and `until` the next change. */
export interface Stored {
  readonly from: number
  readonly until: number
  readonly state: string | null
  readonly token: string | null
  /** The pid of the master that holds its claim, if that is known. */
  readonly owner: number | null
  readonly isCancelRequested: boolean
  /** The token of the job that reported its progress last. */
  readonly progress: string | null
  /** The token of the job whose result is kept. */
  readonly result: string | null
}

/** A call that removes, cancels or retries a task, or pauses or resumes a type. */
export interface ActCall {
  readonly method: Act['method']
  readonly pid: number
  readonly from: number
  /** Infinity if the call was not acknowledged. */
  readonly until: number
  /** Whether there was a task; undefined if the call was not acknowledged. */
  readonly found: boolean | undefined
}

export interface TaskHistory {
  readonly plan: Plan
  readonly addedAt: number | undefined
  /** Somebody removed or cancelled it, or may have: it need not finish. A call that found no task does not count. */
  readonly isWithdrawn: boolean
  readonly acts: readonly ActCall[]
  readonly jobs: readonly Job[]
  readonly events: readonly EntryOf<'event'>[]
  readonly stored: readonly Stored[]
  readonly left: EntryOf<'left'> | undefined
}

export interface History {
  readonly settings: Settings
  /**
   * How many times slower the machine was than an idle one: at least 1. What the rules grant to processes grows in
   * proportion.
   */
  readonly slowness: number
  readonly entries: readonly Entry[]
  readonly lives: Lives
  readonly attacks: readonly EntryOf<'attack'>[]
  readonly exits: readonly EntryOf<'exit'>[]
  readonly tasks: readonly TaskHistory[]
  readonly jobs: readonly Job[]
  /** In the order of time. */
  readonly acts: readonly ActCall[]
}

/** What breaks a rule. `evidence`: entries, or what was concluded from them. */
export interface Violation {
  readonly rule: string
  readonly text: string
  readonly evidence: readonly unknown[]
}

export type Rule = (history: History) => Violation[]

/** @param entries in the order of time */
export function toHistory(entries: readonly Entry[], settings: Settings): History {
  const lives = new Lives(only(entries, 'process'), only(entries, 'gone'))
  const stored = toStored(entries)
  const jobs = toJobs(entries, lives, stored)
  const [attacks, exits] = [only(entries, 'attack'), only(entries, 'exit')]
  const slowness = slownessOf(only(entries, 'ready'))
  const acts = toActs(entries)
  const tasks = toTasks(entries, jobs, stored, groupByIncarnation(acts))
  return { settings, slowness, entries, lives, attacks, exits, jobs, tasks, acts }
}

/** How many milliseconds a server takes to boot on an idle machine. */
export const USUAL_BOOT_MS = 2000

/** From the median boot time. */
function slownessOf(ready: readonly EntryOf<'ready'>[]): number {
  const boots = ready.map(({ bootedIn }) => bootedIn).sort((a, b) => a - b)
  return Math.max(1, (boots[Math.floor(boots.length / 2)] ?? 0) / USUAL_BOOT_MS)
}

export function only<What extends Entry['what']>(entries: readonly Entry[], what: What): EntryOf<What>[] {
  return entries.filter((entry): entry is EntryOf<What> => entry.what === what)
}

type StoredByTask = ReadonlyMap<string, readonly Stored[]>

/** By incarnation. */
function toStored(entries: readonly Entry[]): StoredByTask {
  const clock = new Clock(only(entries, 'clock'))
  const groups = groupByIncarnation(only(entries, 'stored'))
  return new Map(
    [...groups].map(([incarnation, group]) => {
      const times = group.map(({ wall, at }) => Math.min(at, clock.monotonic(wall)))
      const changes = group.map((entry, index) => ({
        ...entry,
        from: times[index] ?? entry.at,
        until: times[index + 1] ?? Infinity,
      }))
      return [incarnation, changes]
    }),
  )
}

function toJobs(entries: readonly Entry[], lives: Lives, stored: StoredByTask): Job[] {
  const kinds = new Map(only(entries, 'adding').map(({ incarnation, kind }) => [incarnation, kind]))
  const ends = new Map(only(entries, 'end').map(entry => [entry.token, entry]))
  const told = new Map(only(entries, 'told').map(({ token, at }) => [token, at]))
  const beats = new Map(only(entries, 'beat').map(({ token, at }) => [token, at]))
  return only(entries, 'start').map(({ id, incarnation, token, attempt, pid, at }) => {
    const worker = lives.at(pid, at) ?? { ...UNKNOWN, pid }
    const end = ends.get(token)
    return {
      ...{ id, incarnation, token, attempt, worker, end, startedAt: at },
      kind: kinds.get(incarnation) ?? 'short',
      toldAt: told.get(token) ?? at,
      master: lives.at(worker.parent, at),
      claimedAt: stored.get(incarnation)?.find(change => change.token === token)?.from,
      lastAt: Math.max(at, beats.get(token) ?? 0, end?.at ?? 0),
    }
  })
}

/** A process whose first entry is missing. */
const UNKNOWN: Omit<Life, 'pid'> = { parent: 0, from: 0, until: Infinity, aliveAt: Infinity, goneAt: Infinity }

function toTasks(
  entries: readonly Entry[],
  jobs: readonly Job[],
  stored: StoredByTask,
  calls: ReadonlyMap<string, readonly ActCall[]>,
): TaskHistory[] {
  const added = new Map(only(entries, 'added').map(entry => [entry.incarnation, entry.at]))
  const left = new Map(only(entries, 'left').map(entry => [entry.incarnation, entry]))
  const jobsOf = groupByIncarnation(jobs)
  const eventsOf = groupByIncarnation(only(entries, 'event'))
  return only(entries, 'adding').map(plan => {
    const acts = calls.get(plan.incarnation) ?? []
    return {
      plan,
      addedAt: added.get(plan.incarnation),
      isWithdrawn: isWithdrawn(acts),
      acts,
      jobs: jobsOf.get(plan.incarnation) ?? [],
      events: eventsOf.get(plan.incarnation) ?? [],
      stored: stored.get(plan.incarnation) ?? [],
      left: left.get(plan.incarnation),
    }
  })
}

const METHODS = {
  removing: 'remove',
  cancelling: 'cancel',
  retrying: 'retry',
  pausing: 'pause',
  resuming: 'resume',
} as const
const ANSWERS = {
  removing: 'removed',
  cancelling: 'cancelled',
  retrying: 'retried',
  pausing: 'paused',
  resuming: 'resumed',
} as const

function toActs(entries: readonly Entry[]): (ActCall & TaskName)[] {
  const calls = (Object.keys(METHODS) as (keyof typeof METHODS)[]).flatMap(before => {
    const answers = only(entries, ANSWERS[before])
    return only(entries, before).map(({ id, incarnation, pid, at }) => {
      const answer = answers.find(one => one.incarnation === incarnation && one.pid === pid && one.at >= at)
      return {
        ...{ id, incarnation, method: METHODS[before], pid, from: at },
        ...{ until: answer?.at ?? Infinity, found: answer?.found },
      }
    })
  })
  return calls.sort((a, b) => a.from - b.from)
}

/** A cancelled task that was retried has to finish like any other. */
function isWithdrawn(acts: readonly ActCall[]): boolean {
  return acts.some(({ method, found, until }) => {
    if ((method !== 'remove' && method !== 'cancel') || found === false) return false
    const isRetried = acts.some(other => other.method === 'retry' && other.found === true && other.from >= until)
    return method === 'remove' || !isRetried
  })
}

function groupByIncarnation<Item extends TaskName>(items: readonly Item[]): Map<string, Item[]> {
  const groups = new Map<string, Item[]>()
  for (const item of items) {
    const group = groups.get(item.incarnation)
    if (group === undefined) groups.set(item.incarnation, [item])
    else group.push(item)
  }
  return groups
}

/** The log of a run, put together: processes, jobs and tasks in place of single entries. Pure. */
import type { Entry, EntryOf, Kind, Plan, TaskName } from './log'

export interface Settings {
  /** Milliseconds. */
  readonly lease: number
  readonly maxCrashes: number
  /** Without, each task has to run exactly as often as it is meant to. */
  readonly hasNemesis: boolean
}

/** A process, from its first entry until its pid was seen again: pids are used again in a long run. */
export interface Life {
  readonly pid: number
  readonly parent: number
  readonly from: number
  until: number
}

export interface Job extends TaskName {
  readonly token: string
  readonly kind: Kind
  readonly attempt: number
  readonly worker: Life
  readonly master: Life | undefined
  /** When its claim was made, at the latest; undefined where its worker's log does not tell. */
  readonly claimedAt: number | undefined
  readonly startedAt: number
  /** The last sign of life. */
  readonly lastAt: number
  readonly end: EntryOf<'end'> | undefined
}

export interface TaskHistory {
  readonly plan: Plan
  readonly addedAt: number | undefined
  /** Somebody was about to remove or cancel it: it need not end. */
  readonly isWithdrawn: boolean
  readonly jobs: readonly Job[]
  readonly events: readonly EntryOf<'event'>[]
  readonly left: EntryOf<'left'> | undefined
}

export interface History {
  readonly settings: Settings
  readonly entries: readonly Entry[]
  readonly lives: Lives
  readonly attacks: readonly EntryOf<'attack'>[]
  readonly exits: readonly EntryOf<'exit'>[]
  readonly tasks: readonly TaskHistory[]
  readonly jobs: readonly Job[]
}

/** What breaks a rule. `evidence`: entries, or what was concluded from them. */
export interface Violation {
  readonly rule: string
  readonly text: string
  readonly evidence: readonly unknown[]
}

export type Rule = (history: History) => Violation[]

export class Lives {
  readonly #lives = new Map<number, Life[]>()

  constructor(entries: readonly EntryOf<'process'>[]) {
    for (const { pid, parent, at } of entries) {
      const former = this.#lives.get(pid) ?? []
      for (const life of former.slice(-1)) life.until = at
      this.#lives.set(pid, [...former, { pid, parent, from: at, until: Infinity }])
    }
  }

  /** Which process had this pid then. */
  at(pid: number, at: number): Life | undefined {
    return this.#lives.get(pid)?.find(({ from, until }) => from <= at && at < until)
  }
}

/** @param entries in the order of time */
export function toHistory(entries: readonly Entry[], settings: Settings): History {
  const lives = new Lives(only(entries, 'process'))
  const jobs = toJobs(entries, lives, settings)
  const [attacks, exits] = [only(entries, 'attack'), only(entries, 'exit')]
  return { settings, entries, lives, attacks, exits, jobs, tasks: toTasks(entries, jobs) }
}

export function only<What extends Entry['what']>(entries: readonly Entry[], what: What): EntryOf<What>[] {
  return entries.filter((entry): entry is EntryOf<What> => entry.what === what)
}

function toJobs(entries: readonly Entry[], lives: Lives, { lease }: Settings): Job[] {
  const kinds = new Map(only(entries, 'adding').map(({ incarnation, kind }) => [incarnation, kind]))
  const received = new Map(only(entries, 'received').map(entry => [entry.token, entry]))
  const ends = new Map(only(entries, 'end').map(entry => [entry.token, entry]))
  const beats = new Map(only(entries, 'beat').map(({ token, at }) => [token, at]))
  return only(entries, 'start').map(({ id, incarnation, token, attempt, pid, at }) => {
    const worker = lives.at(pid, at) ?? { pid, parent: 0, from: 0, until: Infinity }
    const startBefore = received.get(token)?.startBefore ?? null
    const end = ends.get(token)
    return {
      ...{ id, incarnation, token, attempt, worker, end, startedAt: at },
      kind: kinds.get(incarnation) ?? 'short',
      master: lives.at(worker.parent, at),
      claimedAt: startBefore === null ? undefined : startBefore - lease,
      lastAt: Math.max(at, beats.get(token) ?? 0, end?.at ?? 0),
    }
  })
}

function toTasks(entries: readonly Entry[], jobs: readonly Job[]): TaskHistory[] {
  const added = new Map(only(entries, 'added').map(entry => [entry.incarnation, entry.at]))
  const left = new Map(only(entries, 'left').map(entry => [entry.incarnation, entry]))
  const withdrawn = new Set(
    [...only(entries, 'removing'), ...only(entries, 'cancelling')].map(({ incarnation }) => incarnation),
  )
  const jobsOf = groupByIncarnation(jobs)
  const eventsOf = groupByIncarnation(only(entries, 'event'))
  return only(entries, 'adding').map(plan => ({
    plan,
    addedAt: added.get(plan.incarnation),
    isWithdrawn: withdrawn.has(plan.incarnation),
    jobs: jobsOf.get(plan.incarnation) ?? [],
    events: eventsOf.get(plan.incarnation) ?? [],
    left: left.get(plan.incarnation),
  }))
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

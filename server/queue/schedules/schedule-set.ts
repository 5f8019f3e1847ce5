/** The schedules of an app as they are stored, and what becomes of them. It reads no clock and no database. */
import { isDeepStrictEqual } from 'node:util'
import { type Timing, tickAfter, tickAtOrBefore } from '../../../common/calendar'
import type { DeclaredSchedule, TickTask } from '../../../common/schedules'
import type { Task, TaskState } from '../../../common/task'

/** One document for each app, so that every change of it is one write. */
export interface ScheduleSet {
  /** The app. */
  readonly _id: string
  /** Counts the changes. A change is written only if nobody has made another since the set was read. */
  readonly revision: number
  readonly schedules: readonly StoredSchedule[]
  /** The names of paused schedules. A declaration does not change them. */
  readonly paused: readonly string[]
  /** The master whose schedules these are. */
  readonly declaredBy?: Declaration
}

export interface Declaration {
  /** A random id, unique to one start of a master. */
  readonly id: string
  /** When that master started to dispatch, by the database's clock. */
  readonly startedAt: Date
  /** Until then, the master counts as alive. */
  readonly expiresAt: Date
}

export interface StoredSchedule {
  readonly name: string
  readonly task: TickTask
  readonly timing: Timing
  readonly catchUp: 'last' | 'none'
  readonly overlap: 'skip' | 'queue'
  /** The next tick; null if there are no more. */
  readonly nextAt: Date | null
  /** A tick whose task is added once that of the previous tick has ended. */
  readonly queuedAt?: Date
  readonly last?: LastTick
  /** When a declaration left it out. It has no ticks from then on. */
  readonly removedAt?: Date
}

/** The last tick for which a task was added. */
export interface LastTick {
  readonly taskId: string
  readonly at: Date
  /** How its task has ended, once that was noticed. */
  readonly outcome?: TickOutcome
}

/** `removed`: somebody removed the task, or it is no longer kept. */
export type TickOutcome = 'done' | 'failed' | 'cancelled' | 'removed'

/**
 * How long a schedule that a declaration left out is remembered. When an old version of the app restarts during a
 * deployment, it may leave out new schedules for a while; these then go on as if nothing had happened.
 */
const REMEMBERED_MS = 3_600_000

/** With `catchUp: 'none'`, a tick that is at most this late still adds its task: a master was busy, or took over. */
const ON_TIME_MS = 60_000

const DAY_MS = 24 * 3_600_000

/** The task of a tick is kept for at most this many ticks. */
const KEPT_TICKS = 1000

/** It is kept for at least this many leases: a master that was suspended may try to add it again. */
const KEPT_LEASES = 10

/**
 * The schedules after a declaration. Those that go on keep their next tick, so that a restart loses none. Those that it
 * leaves out are remembered for a while, without their data, which may be large.
 */
export function declare(
  stored: readonly StoredSchedule[],
  declared: readonly DeclaredSchedule[],
  now: Date,
): StoredSchedule[] {
  const former = new Map(stored.map(schedule => [schedule.name, schedule]))
  const current = declared.map(schedule => declareOne(former.get(schedule.name), schedule, now))
  const names = new Set(declared.map(({ name }) => name))
  const removed = stored
    .filter(({ name }) => !names.has(name))
    .map(schedule => ({ ...schedule, task: { ...schedule.task, data: {} }, removedAt: schedule.removedAt ?? now }))
  return [...current, ...removed.filter(schedule => isRemembered(schedule, now))]
}

function declareOne(former: StoredSchedule | undefined, declared: DeclaredSchedule, now: Date): StoredSchedule {
  if (former !== undefined && isRemembered(former, now) && hasSameTiming(former.timing, declared.timing)) {
    const { removedAt: _removedAt, ...kept } = former
    return { ...kept, ...declared, timing: former.timing }
  }
  const timing = 'every' in declared.timing ? { ...declared.timing, anchor: now } : declared.timing
  const last = former?.last === undefined ? {} : { last: former.last }
  return { ...declared, timing, nextAt: tickAfter(timing, now) ?? null, ...last }
}

function isRemembered({ removedAt }: StoredSchedule, now: Date): boolean {
  return removedAt === undefined || now.getTime() - removedAt.getTime() < REMEMBERED_MS
}

function hasSameTiming(stored: Timing, declared: DeclaredSchedule['timing']): boolean {
  if ('every' in stored) return 'every' in declared && stored.every === declared.every
  return isDeepStrictEqual(stored, declared)
}

/** Whether this master must declare its schedules: it has not yet, or the last declarer has expired or is older. */
export function shouldDeclare(
  { declaredBy }: ScheduleSet,
  id: string,
  startedAt: Date | undefined,
  now: Date,
): boolean {
  if (startedAt === undefined || declaredBy === undefined) return true
  if (declaredBy.id === id) return false
  return declaredBy.expiresAt <= now || declaredBy.startedAt < startedAt
}

/** The start time to record for a declaring master: later than the last declarer's, even if the clock was set back. */
export function startOf({ declaredBy }: ScheduleSet, now: Date): Date {
  return new Date(Math.max(now.getTime(), (declaredBy?.startedAt.getTime() ?? 0) + 1))
}

/** The schedules that the last declaration has. */
export function currentOf({ schedules }: ScheduleSet): StoredSchedule[] {
  return schedules.filter(({ removedAt }) => removedAt === undefined)
}

/** The schedules that have ticks. */
export function activeOf(set: ScheduleSet): StoredSchedule[] {
  return currentOf(set).filter(({ name }) => !set.paused.includes(name))
}

export function isDue({ nextAt, queuedAt }: StoredSchedule, now: Date): boolean {
  return queuedAt !== undefined || (nextAt !== null && nextAt <= now)
}

/** Brings forward a next tick that was set too late, because the clock of the database was ahead. */
export function corrected(schedule: StoredSchedule, now: Date): StoredSchedule {
  const { nextAt, timing } = schedule
  const isAhead = 'anchor' in timing && timing.anchor > now
  const correctedTiming: Timing = isAhead ? { ...timing, anchor: now } : timing
  const next = tickAfter(correctedTiming, now)
  return next === undefined || nextAt === null || nextAt <= next
    ? schedule
    : { ...schedule, timing: correctedTiming, nextAt: next }
}

/** What a schedule that is due does: it adds the task of a tick, skips a tick, or neither. */
export interface Step {
  readonly schedule: StoredSchedule
  readonly tick?: Date
  readonly skipped?: Date
}

/** The task of a schedule's last tick, as it is in the queue. */
export interface LastTask {
  /** The tick. */
  readonly at: Date
  readonly hasEnded: boolean
}

/**
 * Decides what a due schedule does now.
 *
 * @param last undefined if there is none. It may be the task of the tick that is due: a master added it, but its write
 * of the schedule failed
 */
export function step(schedule: StoredSchedule, last: LastTask | undefined, now: Date): Step {
  const { queuedAt, ...rest } = schedule
  const { catchUp, nextAt, overlap, timing } = rest
  const isBusyAt = (tick: Date) => last !== undefined && !last.hasEnded && last.at < tick
  if (queuedAt !== undefined && !isBusyAt(queuedAt)) return { schedule: rest, tick: queuedAt }
  if (nextAt === null || nextAt > now) return { schedule }
  const tick = latestOf(nextAt, tickAtOrBefore(timing, now))
  const following = { ...schedule, nextAt: tickAfter(timing, now) ?? null }
  // Another master has already added the task of a later tick.
  const isPast = last !== undefined && last.at > tick && last.at <= now
  if (isPast && queuedAt === undefined) return { schedule: following }
  const isMissed = now.getTime() - tick.getTime() > (catchUp === 'last' ? DAY_MS : ON_TIME_MS)
  if (isMissed) return { schedule: following }
  if (queuedAt !== undefined) return { schedule: following, skipped: tick }
  if (!isBusyAt(tick)) return { schedule: following, tick }
  return overlap === 'queue' ? { schedule: { ...following, queuedAt: tick } } : { schedule: following, skipped: tick }
}

function latestOf(nextAt: Date, tick: Date | undefined): Date {
  return tick === undefined || tick < nextAt ? nextAt : tick
}

/** @returns undefined if it is paused already */
export function pause(set: ScheduleSet, name: string): Pick<ScheduleSet, 'paused' | 'schedules'> | undefined {
  if (set.paused.includes(name)) return undefined
  return { paused: [...set.paused, name], schedules: set.schedules }
}

/** Ticks missed during the pause are skipped. @returns undefined if it is not paused */
export function resume(
  { paused, schedules }: ScheduleSet,
  name: string,
  now: Date,
): Pick<ScheduleSet, 'paused' | 'schedules'> | undefined {
  if (!paused.includes(name)) return undefined
  const resumed = ({ queuedAt: _queuedAt, ...schedule }: StoredSchedule) => ({
    ...schedule,
    nextAt: tickAfter(schedule.timing, now) ?? null,
  })
  return {
    paused: paused.filter(other => other !== name),
    schedules: schedules.map(schedule => (schedule.name === name ? resumed(schedule) : schedule)),
  }
}

/** The beginning of the `_id`s of the tasks of a schedule's ticks. */
export function tickPrefix(app: string, name: string): string {
  return `${app}/${name}@`
}

/** Every master that meets a tick gives its task the same `_id`, so only one is added. */
export function tickId(app: string, name: string, tick: Date): string {
  return tickPrefix(app, name) + tick.toISOString()
}

/**
 * Milliseconds for which the `_id` of a tick's task stays taken, once the task has ended.
 *
 * @param leaseDuration milliseconds
 */
export function tickHeldFor({ timing }: StoredSchedule, tick: Date, leaseDuration: number): number {
  const next = tickAfter(timing, tick)
  const interval = next === undefined ? Infinity : next.getTime() - tick.getTime()
  return Math.max(Math.min(DAY_MS, KEPT_TICKS * interval), KEPT_LEASES * leaseDuration)
}

const OUTCOMES: Readonly<Record<TaskState, TickOutcome | undefined>> = {
  scheduled: undefined,
  waiting: undefined,
  running: undefined,
  done: 'done',
  failed: 'failed',
  cancelled: 'cancelled',
}

/** How a tick's task has ended; undefined if it has not. @param task undefined if there is none */
export function outcomeOf(task: Pick<Task, 'state'> | undefined): TickOutcome | undefined {
  return task === undefined ? 'removed' : OUTCOMES[task.state]
}

/** The log entries of a job: its start, and each outcome with what comes next. */
import { messageOf, textOf } from '../../../common/errors'
import type { TaskEntry } from '../../../common/log'
import { counted, textOfDuration } from '../../../common/text'
import type { Loss } from '../../queue/claim'

export const STARTED: TaskEntry = { level: 'info', event: 'started', text: 'started' }

/** Why an attempt failed: `failed`, or `timed out after 30000 ms, worker 4711 killed`. */
export interface Cause {
  readonly text: string
  readonly error: Error
  /** How long the task function ran, if it returned. */
  readonly milliseconds?: number
}

export function failureCause(error: Error, milliseconds?: number): Cause {
  return { text: 'failed', error, milliseconds: milliseconds === undefined ? undefined : rounded(milliseconds) }
}

/** @param timeout milliseconds @param killed the pid of the worker that had to be killed, if one had */
export function timeoutCause(error: Error, timeout: number | undefined, killed?: number): Cause {
  const text = `timed out after ${String(timeout)} ms`
  return { text: killed === undefined ? text : `${text}, worker ${String(killed)} killed`, error }
}

export function doneEntry(milliseconds: number): TaskEntry {
  return {
    level: 'info',
    event: 'done',
    text: `done in ${String(Math.round(milliseconds))} ms`,
    milliseconds: rounded(milliseconds),
  }
}

/** @param delay milliseconds until the next attempt */
export function retryEntry(
  { text, error, milliseconds }: Cause,
  delay: number,
  failures: number,
  retries: number,
): TaskEntry {
  const next = `retrying in ${textOfDuration(delay)} (${String(failures)} of ${String(retries)})`
  const reason = `${textOf(error, 'name') ?? 'Error'}: ${messageOf(error)}`
  return { level: 'warn', event: 'retry', text: `${text}, ${next}: ${reason}`, error, milliseconds }
}

export function finalEntry({ text, error, milliseconds }: Cause, attempts: number): TaskEntry {
  const failed = text === 'failed' ? text : `${text}, failed`
  const when = attempts === 0 ? 'before its first attempt' : `after ${counted(attempts, 'attempt')}`
  return { level: 'error', event: 'error', text: `${failed} for good ${when}`, error, milliseconds }
}

/** @param delay milliseconds until the next attempt */
export function postponedEntry(delay: number): TaskEntry {
  return { level: 'info', event: 'released', text: `asked for another attempt in ${textOfDuration(delay)}` }
}

/** @param delay milliseconds until the next attempt */
export function crashEntry(
  pid: number | undefined,
  how: string,
  delay: number,
  crashes: number,
  maxCrashes: number,
): TaskEntry {
  const next = `retrying in ${textOfDuration(delay)} (crash ${String(crashes)} of ${String(maxCrashes)})`
  return { level: 'warn', event: 'released', text: `worker ${String(pid)} died (${how}), ${next}` }
}

export function finalCrashEntry(error: Error, pid: number | undefined, how: string, crashes: number): TaskEntry {
  const text = `worker ${String(pid)} died (${how}), failed for good after ${counted(crashes, 'crash', 'crashes')}`
  return { level: 'error', event: 'error', text, error }
}

export const CANCELLED: TaskEntry = { level: 'info', event: 'cancelled', text: 'cancelled' }

export const STOPPED: TaskEntry = { level: 'info', event: 'released', text: 'requeued: the cluster stops' }

export function releasedEntry(reason: string): TaskEntry {
  return { level: 'warn', event: 'released', text: `requeued: ${reason}` }
}

const HOW_LOST: Readonly<Record<Exclude<Loss, 'removed'>, string>> = {
  takenOver: 'another master took the task over',
  cancelledElsewhere: 'another master took the task over and cancelled it',
}

/** Only a task that another master took over has a `stalled` event. */
export function lostEntry(loss: Loss): TaskEntry {
  if (loss === 'removed') {
    return {
      level: 'info',
      event: undefined,
      text: 'removed while it was running; its job is aborted, its outcome ignored',
    }
  }
  const text = `lease lost: ${HOW_LOST[loss]}; the outcome of its job is ignored`
  return { level: 'warn', event: loss === 'takenOver' ? 'stalled' : undefined, text }
}

/** To microseconds. */
function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000
}

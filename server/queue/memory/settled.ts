/** What a task in memory is after its claim was settled. */
import type { Ending } from '../../../common/ending'
import { errorFromWire } from '../../../common/pipe/wire'
import { copyOfPlain } from '../../../common/plain'
import { type Task, copyTask } from '../../../common/task'
import { revive } from '../../revive'
import type { Done, Release, Settlement } from '../claim'
import { storedResult } from '../stored-result'
import { cancelled, errorOf } from '../results/ending'
import type { Entry } from './entries'

/**
 * A done task that is kept. Its result is stored if it can be; if not, those who wait get an error. It is a copy, since
 * the `done` listener may change the task of the claim.
 */
export function doneEntry(task: Task, { keepDone, value, kept: stored = storedResult(value) }: Done): Entry {
  const result = 'error' in stored || stored.result === undefined ? {} : { result: stored.result }
  return {
    task: endedTask({ ...copyTask(task), ...result, state: 'done' }),
    ...('error' in stored ? { failure: stored.error } : {}),
    ...(keepDone === undefined ? {} : { idHeldUntil: performance.now() + keepDone }),
  }
}

export function failedEntry(task: Task, { counts, error, wire }: Extract<Settlement, { kind: 'failed' }>): Entry {
  const failed = endedTask({ ...task, ...counts, error, state: 'failed' })
  return task.awaited === undefined ? { task: failed } : { task: failed, failure: revive(errorFromWire(wire)) }
}

export function retriedTask(task: Task, { counts, error, delay }: Extract<Settlement, { kind: 'retried' }>): Task {
  return { ...task, ...counts, error, dueDate: new Date(Date.now() + delay) }
}

export function releasedTask(task: Task, { hasStarted, crashes, delay, isSuspect }: Release): Task {
  return {
    ...task,
    attempts: countedAttempts(task, hasStarted),
    ...(crashes === undefined ? {} : { crashes }),
    ...(delay === undefined ? {} : { dueDate: new Date(Date.now() + delay) }),
    ...(isSuspect === undefined ? {} : { isSuspect }),
  }
}

export function cancelledTask(task: Task, hasStarted: boolean): Task {
  const attempts = task.attempts === undefined ? {} : { attempts: countedAttempts(task, hasStarted) }
  return endedTask({ ...task, ...attempts, state: 'cancelled', cancelledAt: new Date() })
}

/** A failed or cancelled task that starts anew. */
export function startedAnew(task: Task): Task {
  const {
    cancelledAt: _cancelledAt,
    endedAt: _endedAt,
    error: _error,
    isSuspect: _isSuspect,
    progress: _progress,
    startedAt: _startedAt,
    ...anew
  } = task
  // As in the other queue.
  const awaited = anew.awaited === undefined ? {} : { awaited: 'result' as const }
  return { ...anew, ...awaited, dueDate: new Date(), failures: 0, crashes: 0 }
}

/** How the task of an entry ended; undefined if it has not. */
export function endingOf({ failure, task: { error, result, state } }: Entry): Ending | undefined {
  if (state === 'cancelled') return cancelled()
  if (failure !== undefined) return { kind: 'failed', error: failure }
  if (state === 'failed') return { kind: 'failed', error: errorOf(error) }
  return state === 'done' ? { kind: 'done', value: copyOfPlain(result) } : undefined
}

/** Its `awaited` is as in the other queue. */
function endedTask(task: Task): Task {
  return { ...task, endedAt: new Date(), ...(task.awaited === undefined ? {} : { awaited: 'ended' }) }
}

/** The claim has counted an attempt, which is taken back if the job did not start. */
function countedAttempts({ attempts = 1 }: Task, hasStarted: boolean): number {
  return hasStarted ? attempts : attempts - 1
}

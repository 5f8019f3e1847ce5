import { messageOf } from '../../../common/errors'
import type { Log } from '../../../common/log'
import { isDelay } from '../../../common/delay'
import { DEFAULT_BACKOFF, delayOf } from '../../../common/policy'
import type { Task } from '../../../common/task'
import type { RetryPolicy } from '../../../common/task-map'

/**
 * Milliseconds until the next attempt, after this many failed ones. If the application's own function fails, the
 * default is used, so that the task keeps its retry.
 */
export function delayAfter({ backoff }: RetryPolicy, task: Task, failures: number, error: Error, log: Log): number {
  if (typeof backoff !== 'function') return delayOf(backoff, failures, Math.random())
  try {
    const delay: unknown = backoff(failures, error)
    if (isDelay(delay)) return delay
    // An asynchronous function returns a promise. If that rejects unhandled, it crashes the process.
    Promise.resolve(delay).catch(() => undefined)
    log.taskError(task, `backoff gave ${String(delay)}; allowed: milliseconds, from 0. The default is used`)
  } catch (thrown) {
    log.taskError(task, `backoff threw: ${messageOf(thrown)}. The default is used`)
  }
  return delayOf(DEFAULT_BACKOFF, failures, Math.random())
}

import { messageOf } from '../../../common/errors'
import type { Log } from '../../../common/log'
import { DEFAULT_BACKOFF, delayOf, isDelay } from '../../../common/policy'
import type { Task } from '../../../common/task'
import type { Policy } from '../../../common/task-map'

/**
 * Milliseconds until the next attempt, after this many failed ones. The application's own function must not cost the
 * task its retry: where it fails, the default is used.
 */
export function delayAfter({ backoff }: Policy, task: Task, failures: number, error: Error, log: Log): number {
  if (typeof backoff !== 'function') return delayOf(backoff, failures, Math.random())
  try {
    const delay: unknown = backoff(failures, error)
    if (isDelay(delay)) return delay
    // One that is asynchronous may reject, which would end the process.
    Promise.resolve(delay).catch(() => undefined)
    log.taskError(task, `backoff gave ${String(delay)}; allowed: milliseconds, from 0. The default is used`)
  } catch (thrown) {
    log.taskError(task, `backoff threw: ${messageOf(thrown)}. The default is used`)
  }
  return delayOf(DEFAULT_BACKOFF, failures, Math.random())
}

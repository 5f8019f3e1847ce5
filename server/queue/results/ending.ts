/** How a task ended, as those who wait for it learn. */
import type { Ending } from '../../../common/ending'
import { TaskCancelledError, TaskRemovedError } from '../../../common/errors'
import { type WireValue, errorFromWire } from '../../../common/pipe/wire'
import type { TaskFailure } from '../../../common/task'
import { storedResult } from '../stored-result'

/** The result crosses processes by the same rules as if it were stored, even if it is not. */
export function doneWith(value: WireValue): Ending {
  const stored = storedResult(value)
  return 'error' in stored ? { kind: 'failed', error: stored.error } : { kind: 'done', value: stored.result }
}

export function cancelled(): Ending {
  return { kind: 'failed', error: new TaskCancelledError() }
}

export function removed(_id: string): Ending {
  return { kind: 'failed', error: new TaskRemovedError(_id) }
}

/** The error of a failed task for whose end nobody waited, or whose document had no room for more. */
export function errorOf(failure: TaskFailure | undefined): Error {
  const { message, name, stack } = failure ?? NO_ROOM
  return errorFromWire({ name, message, stack: stack ?? undefined, fields: {}, cause: undefined, errors: undefined })
}

const NO_ROOM = {
  name: 'Error',
  message: 'nschwarz:cluster: the task failed; its document had no room for the error.',
  stack: null,
}

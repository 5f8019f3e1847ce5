import { UnsendableValueError } from '../../common/errors'
import { type WireValue, fromWire } from '../../common/pipe/wire'
import { PLAIN_ALLOWED, type PlainValue, copyPlain } from '../../common/plain'
import type { Task } from '../../common/task'
import { sizeOf } from './mongo/documents/driver'
import { isWatched } from './retention'

const MAX_RESULT_BYTES = 2 ** 20

/** A result as it is stored and passed on, or why it cannot be. */
export type StoredResult = { readonly result: PlainValue | undefined } | { readonly error: UnsendableValueError }

/** Whether the result of this task is stored or passed on. @param keepDone as the task's policy says */
export function isResultWanted(task: Task, keepDone: number | undefined): boolean {
  return keepDone !== undefined || isWatched(task)
}

/** The same rules hold in both queues and for every waiter, wherever it is: those of a task's `data`, and 1 MB. */
export function storedResult(value: WireValue): StoredResult {
  if ('instanceOf' in value && value.instanceOf !== undefined)
    return refused(`it holds an instance of ${value.instanceOf}`)
  const result = fromWire(value)
  if (result === undefined) return { result }
  const copied = copyPlain(result)
  if ('fault' in copied) {
    const { path, allowed } = copied.fault
    return refused(`result${path} is not allowed; allowed: ${allowed}`)
  }
  const bytes = sizeOf({ result: copied.copy })
  return bytes > MAX_RESULT_BYTES ? refused(`it takes ${String(bytes)} bytes of BSON`) : { result: copied.copy }
}

function refused(reason: string): StoredResult {
  return { error: new UnsendableValueError('the result of the task', reason, `${PLAIN_ALLOWED}, with at most 1 MB`) }
}

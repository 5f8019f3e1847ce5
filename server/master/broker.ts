import { LeaseLostError, NoMessageBrokerError, UnsendableValueError, messageOf, toError } from '../../common/errors'
import { errorToWire, fromWire, toWire } from '../../common/pipe/wire'
import type { MessageBroker } from '../../common/ipc'
import type { Log } from '../../common/log'
import type { Answer } from '../../common/pipe/protocol'
import { copyTask, toJob } from '../../common/task'
import type { Question } from '../pool/workers/worker-exit'

/**
 * Passes a task's question to the application's message broker, and sends the first answer back. Never rejects.
 *
 * @param isValid whether the task's claim is valid; otherwise the question is refused
 */
export async function consult(
  broker: MessageBroker | null,
  question: Question,
  isValid: boolean,
  log: Log,
): Promise<void> {
  const { task } = question.claim
  const reply = onlyOnce(question)
  const respond = (value?: unknown) => {
    const isFirst = reply(() => ({ kind: 'answered', value: toWire(value) }))
    if (!isFirst)
      log.warn(`the messageBroker answered ${task.taskType}:${task._id} again; only its first answer counts`)
  }
  try {
    if (!isValid) throw new LeaseLostError()
    if (broker === null) throw new NoMessageBrokerError()
    const { status, data } = question.message
    await broker(respond, { status, data: fromWire(data) }, toJob(copyTask(task)))
  } catch (thrown) {
    const isFirst = reply(() => ({ kind: 'refused', error: errorToWire(toError(thrown)) }))
    if (!isFirst)
      log.error(`the messageBroker threw after its answer to ${task.taskType}:${task._id}: ${messageOf(thrown)}`)
  }
}

/** @returns a function that sends an answer, or returns false if one was sent already */
function onlyOnce({ answer }: Question): (makeAnswer: () => Answer) => boolean {
  let isSettled = false
  return makeAnswer => {
    if (isSettled) return false
    isSettled = true
    try {
      answer(makeAnswer())
    } catch (error) {
      // Not rethrown: the caller may be a timer of the application, where an exception would crash the master.
      answer({
        kind: 'refused',
        error: errorToWire(new UnsendableValueError('the answer of the messageBroker', error)),
      })
    }
    return true
  }
}

import { type Unreadable, partsOfUnreadable } from '../../common/pipe/envelope'
import { UnsendableValueError, describe, messageOf } from '../../common/errors'
import type { ToWorker } from '../../common/pipe/protocol'

/** What is done about messages that cannot be read, or sent. */
export interface FaultHandling {
  /** Fails the job with this token, for good. */
  readonly fail: (token: string, error: Error) => void
  /** Refuses a conversation of a job. */
  readonly refuse: (token: string, conversation: number, error: Error) => void
  /** Kills the worker, and reads nothing more of it. @param how for those whose jobs it ran */
  readonly reject: (how: string) => void
  readonly log: (text: string) => void
}

const UNREADABLE = 'it came in a form that cannot be read'

/**
 * What a worker sent cannot be read. The job or conversation that it is about fails; anything else breaks the protocol.
 */
export function handleUnreadable(unreadable: Unreadable, { fail, refuse, reject, log }: FaultHandling): void {
  const { kind, token, conversation } = partsOfUnreadable(unreadable)
  if (kind === 'outcome' && token !== undefined) {
    fail(token, new UnsendableValueError('the outcome of the task', UNREADABLE))
  } else if (kind === 'ask' && token !== undefined && conversation !== undefined) {
    log('a message to the messageBroker cannot be read: refused')
    refuse(token, conversation, new UnsendableValueError('the data of the message', UNREADABLE))
  } else if (kind === 'taskAdded' || kind === 'taskCancelled' || kind === 'cancelRequested') {
    // Hints, made of documents that somebody may have written by hand. The queue is polled anyway.
    log(`a message of the kind ${describe(kind)} cannot be read: ignored`)
  } else {
    const how = `it sent a message in the envelope of nschwarz:cluster that cannot be read (kind: ${describe(kind)})`
    log(`${how}: killed`)
    reject(`The master killed it: ${how}.`)
  }
}

/** What the master sends is checked when it is encoded. This is for what changed since then. */
export function handleUnsent(message: ToWorker, reason: unknown, { fail, refuse, log }: FaultHandling): void {
  if (message.kind === 'run') fail(message.token, new UnsendableValueError('the data of the task', reason))
  else if (message.kind === 'answer' && message.answer.kind === 'answered') {
    const error = new UnsendableValueError('the answer of the messageBroker', reason)
    refuse(message.token, message.conversation, error)
  } else log(`a message of the kind ${describe(message.kind)} cannot be sent: ${messageOf(reason)}`)
}

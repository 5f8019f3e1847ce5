import { type Unreadable, partsOfUnreadable } from '../../../common/pipe/envelope'
import { UnsendableValueError, describe, messageOf } from '../../../common/errors'
import type { ToMaster, ToWorker } from '../../../common/pipe/protocol'

/** What the master does about messages that cannot be read or sent. */
export interface FaultHandling {
  /** Fails the job with this token, without another attempt. */
  readonly fail: (token: string, error: Error) => void
  /** Refuses a conversation of a job. */
  readonly refuse: (token: string, conversation: number, error: Error) => void
  /** Kills the worker, and reads nothing more from it. @param how the reason, for those whose jobs it ran */
  readonly reject: (how: string) => void
  readonly log: (text: string) => void
}

/** Safe to drop: hints, since the poll finds the same work, and reports, which carry no outcome. */
const IGNORED: ReadonlySet<unknown> = new Set<ToMaster['kind']>([
  'tasksAdded',
  'taskCancelled',
  'cancelRequested',
  'typePaused',
  'report',
])

const UNREADABLE = 'it came in a form that cannot be read'

/**
 * Handles a message of a worker that cannot be read. The job or the conversation that it names fails, and a hint is
 * ignored. Anything else breaks the protocol.
 */
export function handleUnreadable(unreadable: Unreadable, { fail, refuse, reject, log }: FaultHandling): void {
  const { kind, token, conversation } = partsOfUnreadable(unreadable)
  // Invariant 13: what cannot be read fails its own job only.
  if (kind === 'outcome' && token !== undefined) {
    fail(token, new UnsendableValueError('the outcome of the task', UNREADABLE))
  } else if (kind === 'ask' && token !== undefined && conversation !== undefined) {
    log('a message to the messageBroker cannot be read: refused')
    refuse(token, conversation, new UnsendableValueError('the data of the message', UNREADABLE))
  } else if (IGNORED.has(kind)) {
    log(`a message of the kind ${describe(kind)} cannot be read: ignored`)
  } else {
    const how = `it sent a message in the envelope of nschwarz:cluster that cannot be read (kind: ${describe(kind)})`
    log(`${how}: killed`)
    reject(`The master killed it: ${how}.`)
  }
}

/** Handles a message that cannot be sent. The master checks values when it encodes them: this one has changed since. */
export function handleUnsent(message: ToWorker, reason: unknown, { fail, refuse, log }: FaultHandling): void {
  if (message.kind === 'run') fail(message.token, new UnsendableValueError('the data of the task', reason))
  else if (message.kind === 'answer' && message.answer.kind === 'answered') {
    const error = new UnsendableValueError('the answer of the messageBroker', reason)
    refuse(message.token, message.conversation, error)
  } else log(`a message of the kind ${describe(message.kind)} cannot be sent: ${messageOf(reason)}`)
}

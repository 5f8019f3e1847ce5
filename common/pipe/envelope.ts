/**
 * The envelope in which our messages travel. Meteor and the application use the same pipe: what is in no envelope of
 * ours is left alone; what is in one, and cannot be read, is never dropped in silence.
 */
import type { ToMaster, ToWorker } from './protocol'
import { isRecord } from './wire'

/** What came in our envelope and is none of these messages: of a job, as far as that can be told. */
export interface Unreadable {
  readonly kind: 'unreadable'
  readonly message: unknown
}

const ENVELOPE = 'nschwarz:cluster'

/**
 * Sends these in one message, or one by one when that fails: together their text may be longer than a string can be.
 * Never throws.
 *
 * @param send is given what to send, and the messages in it
 * @param unsent is given each that cannot be sent, and why: a getter may give something else than when its value was
 * encoded
 */
export function sendTogether<Message extends ToWorker | ToMaster>(
  messages: readonly Message[],
  send: (envelope: object, messages: readonly Message[]) => void,
  unsent: (message: Message, error: unknown) => void,
): void {
  try {
    send(wrap(messages), messages)
  } catch (error) {
    const [message] = messages
    if (message !== undefined && messages.length === 1) unsent(message, error)
    else for (const each of messages) sendTogether([each], send, unsent)
  }
}

/** Never null, and never with a `type`: Meteor's own listener on the pipe reads `message.type` unguarded. */
export function wrap(messages: readonly (ToWorker | ToMaster)[]): object {
  return { [ENVELOPE]: messages }
}

/** Our messages, in their order: none in somebody else's. */
export function unwrap<Message extends ToWorker | ToMaster>(
  raw: unknown,
  accepts: (message: unknown) => message is Message,
): (Message | Unreadable)[] {
  if (typeof raw !== 'object' || raw === null || !Object.hasOwn(raw, ENVELOPE)) return []
  const content = (raw as Record<string, unknown>)[ENVELOPE]
  if (!Array.isArray(content)) return [{ kind: 'unreadable', message: undefined }]
  return content.map((message: unknown) => (accepts(message) ? message : { kind: 'unreadable', message }))
}

/** What an unreadable message says of itself. */
export function partsOfUnreadable({ message }: Unreadable): {
  readonly kind: unknown
  readonly token: string | undefined
  readonly conversation: number | undefined
} {
  const { kind, token, conversation } = isRecord(message) ? message : {}
  return {
    kind,
    token: typeof token === 'string' ? token : undefined,
    conversation: Number.isInteger(conversation) ? (conversation as number) : undefined,
  }
}

/**
 * The envelope in which our messages travel. Meteor and the application use the same pipe. A message without our
 * envelope is left alone. A message in it that cannot be read is never dropped silently.
 */
import type { ToMaster, ToWorker } from './protocol'
import { isRecord } from './wire'

/** A message in our envelope that is none of the protocol's. It may still name the job that it is about. */
export interface Unreadable {
  readonly kind: 'unreadable'
  readonly message: unknown
}

const ENVELOPE = 'nschwarz:cluster'

/**
 * Sends these messages together, or one by one if that fails: together their text may exceed the longest string. Never
 * throws.
 *
 * @param send gets what to send, and the messages in it
 * @param unsent gets each message that cannot be sent, and why: a getter may return something else than when its value
 * was encoded
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

/** Our messages, in their order; none if the raw message is somebody else's. */
export function unwrap<Message extends ToWorker | ToMaster>(
  raw: unknown,
  accepts: (message: unknown) => message is Message,
): (Message | Unreadable)[] {
  if (typeof raw !== 'object' || raw === null || !Object.hasOwn(raw, ENVELOPE)) return []
  const content = (raw as Record<string, unknown>)[ENVELOPE]
  if (!Array.isArray(content)) return [{ kind: 'unreadable', message: undefined }]
  return content.map((message: unknown) => (accepts(message) ? message : { kind: 'unreadable', message }))
}

/** The fields that say what an unreadable message is about. */
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

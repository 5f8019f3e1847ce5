import { Meteor } from 'meteor/meteor'
import type { IpcMessage, MessageBroker } from 'meteor/nschwarz:cluster'
import { faultyErrors, faultyValues } from './faulty'
import { nestedList } from './nested-list'
import { notify } from './remote-protocol'
import { currentUser } from './user'

/** The answers that `hold` tasks wait for. */
export const held = new Map<string, (answer?: unknown) => void>()

/** Answers the first of two conversations. */
let answerFirst: (() => void) | undefined

/** What the message broker of the remote app does, by what a task asks. */
const answers: Record<string, (...parts: Parameters<MessageBroker>) => unknown> = {
  echo: (respond, message) => {
    respond((message.data as { value: unknown }).value)
  },
  twice: respond => {
    respond('first')
    respond('second')
  },
  throw: () => {
    throw new RangeError('the broker threw')
  },
  meteorError: () => {
    throw new Meteor.Error('denied', 'not for you')
  },
  whoAsks: respond => {
    console.log(`the broker runs as ${currentUser()}`)
    respond()
  },
  reject: () => Promise.reject(new RangeError('the broker rejected')),
  throwAfterAnswer: respond => {
    respond('answered')
    throw new RangeError('the broker threw late')
  },
  unsendable: respond => {
    respond(() => undefined)
  },
  tooDeep: respond => {
    respond(nestedList(10_000))
  },
  faultyAnswer: (respond, message) => {
    respond(faultyValues[whatOf(message)]?.())
  },
  faultyThrow: (_respond, message) => {
    throw faultyErrors[whatOf(message)]?.() as Error
  },
  /** Changed after it was given. */
  circleLater: respond => {
    const answer: { self?: unknown } = {}
    respond(answer)
    answer.self = answer
  },
  /** The answer to the first conversation waits for the second. */
  crossed: (respond, message) => {
    const answer = () => {
      respond((message.data as { value: unknown }).value)
    }
    if (answerFirst === undefined) {
      answerFirst = answer
      return
    }
    answer()
    answerFirst()
  },
  hold: (respond, message, task) => {
    held.set(task._id, respond)
    notify({ event: 'held', taskId: task._id, pid: (message.data as { pid: number }).pid })
  },
}

function whatOf({ data }: IpcMessage): string {
  return (data as { what: string }).what
}

export const messageBroker: MessageBroker = (respond, message, task) => {
  notify({ event: 'message', message, task })
  const { ask } = message.data as { ask?: string }
  if (ask !== undefined) return answers[ask]?.(respond, message, task)
  respond(message.data)
  return undefined
}

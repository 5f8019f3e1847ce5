import { InvalidArgumentError, UnsendableValueError, toError } from '../../common/errors'
import { errorFromWire, fromWire, toWire } from '../../common/pipe/wire'
import type { IpcMessage, ToggleIPC } from '../../common/ipc'
import type { Log } from '../../common/log'
import type { ToWorker } from '../../common/pipe/protocol'
import type { ParentLink } from './parent-link'

type AnswerMessage = Extract<ToWorker, { kind: 'answer' }>

/** What is at fault when a message cannot be sent. */
export const MESSAGE_DATA = 'the data of the message'

interface Conversation {
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: Error) => void
}

/** The conversations of this worker's jobs with the master. Each has a number, so that two at once never mix. */
export class JobIpc {
  readonly #link: ParentLink
  readonly #log: Log
  readonly #open = new Map<number, Conversation>()
  #opened = 0

  constructor(link: ParentLink, log: Log) {
    this.#link = link
    this.#log = log
  }

  /** The second argument of the task function, for the job with this token. */
  toggleFor(token: string): ToggleIPC {
    return async (broker, initialize) => broker(await this.converse(token, initialize))
  }

  receive({ conversation, answer }: AnswerMessage): void {
    const open = this.#open.get(conversation)
    if (open === undefined) {
      this.#log.warn('the master answered a conversation that had its answer already, or whose task has ended; ignored')
      return
    }
    this.#open.delete(conversation)
    if (answer.kind === 'answered') open.resolve(fromWire(answer.value))
    else open.reject(errorFromWire(answer.error))
  }

  /** Nothing comes of this conversation, if it is open. */
  refuse(conversation: number, what: string, reason: unknown): void {
    this.#open.get(conversation)?.reject(new UnsendableValueError(what, reason))
  }

  private converse(token: string, initialize: Parameters<ToggleIPC>[1]): Promise<unknown> {
    const conversation = this.#opened++
    return new Promise<unknown>((resolve, reject) => {
      this.#open.set(conversation, { resolve, reject })
      // Called from anywhere, also from a timer, where an error would end the worker instead of the conversation.
      const send = (message: IpcMessage) => {
        try {
          this.ask(token, conversation, message)
        } catch (error) {
          reject(toError(error))
        }
      }
      Promise.resolve(initialize(send)).catch((error: unknown) => {
        reject(toError(error))
      })
    }).finally(() => this.#open.delete(conversation))
  }

  private ask(token: string, conversation: number, message: IpcMessage): void {
    const { status, data } = checkMessage(message)
    try {
      this.#link.send({ kind: 'ask', token, conversation, status, data: toWire(data) })
    } catch (error) {
      throw new UnsendableValueError(MESSAGE_DATA, error)
    }
  }
}

function checkMessage(message: unknown): IpcMessage {
  if (typeof message !== 'object' || message === null) {
    throw new InvalidArgumentError('sendMessageToMaster', message, 'an object { status, data }')
  }
  const { status } = message as IpcMessage
  if (!Number.isSafeInteger(status) || status < 2) {
    throw new InvalidArgumentError('sendMessageToMaster.status', status, 'an integer above 1')
  }
  return message as IpcMessage
}

import { UnsendableValueError, toError } from '../../common/errors'
import { numberHint, wrongValue } from '../../common/invalid'
import { errorFromWire, fromWire, toWire } from '../../common/pipe/wire'
import type { IpcMessage, ToggleIPC } from '../../common/ipc'
import type { Log } from '../../common/log'
import type { ToWorker } from '../../common/pipe/protocol'
import type { Job } from '../../common/task'
import { revive } from '../revive'
import type { ParentLink } from './parent-link'

type AnswerMessage = Extract<ToWorker, { kind: 'answer' }>

/** The culprit that the error names when a message cannot be sent. */
export const MESSAGE_DATA = 'the data of the message'

interface Conversation {
  readonly token: string
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: Error) => void
}

/**
 * The conversations of this worker's jobs with the master. Each has a number, so that two at once never mix, and none
 * outlives its job.
 */
export class JobIpc {
  readonly #link: Pick<ParentLink, 'send'>
  readonly #log: Log
  /** Tokens of the jobs that are running. */
  readonly #running = new Set<string>()
  readonly #open = new Map<number, Conversation>()
  #opened = 0

  constructor(link: Pick<ParentLink, 'send'>, log: Log) {
    this.#link = link
    this.#log = log
  }

  /** Makes the second argument of the task function, for the job with this token. */
  jobStarted(job: Job, token: string): ToggleIPC {
    this.#running.add(token)
    return (onAnswer, initialize) => {
      checkFunctions(onAnswer, initialize)
      const conversation = this.converse(job, token, initialize).then(onAnswer)
      // A task need not await it: even then, a rejection must not end the worker.
      conversation.catch(() => undefined)
      return conversation
    }
  }

  /** How many conversations wait for an answer. */
  get openConversations(): number {
    return this.#open.size
  }

  /** Its open conversations get no answer any more. */
  jobEnded(token: string): void {
    this.#running.delete(token)
    if (this.#open.size === 0) return
    for (const [conversation, open] of this.#open) if (open.token === token) this.#open.delete(conversation)
  }

  receive({ conversation, answer }: AnswerMessage): void {
    const open = this.#open.get(conversation)
    if (open === undefined) {
      this.#log.warn(
        'the master answered a conversation that had its answer already, or whose job is over; ignored. ' +
          'Did the task function return the promise of toggleIPC?',
      )
      return
    }
    this.#open.delete(conversation)
    if (answer.kind === 'answered') open.resolve(fromWire(answer.value))
    else open.reject(revive(errorFromWire(answer.error)))
  }

  /** Rejects this conversation, if it is open. */
  refuse(conversation: number, what: string, reason: unknown): void {
    const open = this.#open.get(conversation)
    this.#open.delete(conversation)
    open?.reject(new UnsendableValueError(what, reason))
  }

  /** The promise never settles once the job is over. */
  private converse(job: Job, token: string, initialize: Parameters<ToggleIPC>[1]): Promise<unknown> {
    const conversation = this.#opened++
    return new Promise<unknown>((resolve, reject) => {
      if (this.#running.has(token)) this.#open.set(conversation, { token, resolve, reject })
      const fail = (error: unknown) => {
        if (this.#open.delete(conversation)) reject(toError(error))
      }
      // The application may call this from a timer, where an error would end the worker instead of the conversation.
      const send = (message: IpcMessage) => {
        try {
          if (this.#running.has(token)) this.ask(token, conversation, message)
          else this.warnOfLate(job)
        } catch (error) {
          fail(error)
        }
      }
      try {
        Promise.resolve(initialize(send)).catch(fail)
      } catch (error) {
        fail(error)
      }
    })
  }

  private warnOfLate({ _id, taskType }: Job): void {
    this.#log.warn(`${taskType}:${_id} called toggleIPC after its job had ended; what it sends is dropped`)
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

/** Thrown where `toggleIPC` is called: nothing could be said, or the answer would be lost. */
function checkFunctions(onAnswer: unknown, initialize: unknown): void {
  const use = 'Use toggleIPC(answer => …, sendMessageToMaster => …).'
  if (typeof onAnswer !== 'function') throw wrongValue('toggleIPC.onAnswer', onAnswer, 'a function', use)
  if (typeof initialize !== 'function') throw wrongValue('toggleIPC.initialize', initialize, 'a function', use)
}

function checkMessage(message: unknown): IpcMessage {
  if (typeof message !== 'object' || message === null) {
    throw wrongValue('sendMessageToMaster', message, 'an object { status, data }', 'Use { status: 2, data: … }.')
  }
  const { status } = message as IpcMessage
  const isStatus = (value: unknown) => Number.isSafeInteger(value) && (value as number) > 1
  if (!isStatus(status)) {
    throw wrongValue('sendMessageToMaster.status', status, 'an integer above 1', numberHint(status, isStatus))
  }
  return message as IpcMessage
}

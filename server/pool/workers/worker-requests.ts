import type { Ending, Wait } from '../../../common/ending'
import { DuplicateTaskError, toError } from '../../../common/errors'
import { OpenWaits } from '../../../common/open-waits'
import { decode } from '../../../common/pipe/codec'
import type { AddOutcome, Answer, Ended, ToMaster, ToWorker } from '../../../common/pipe/protocol'
import { errorToWire, toWire } from '../../../common/pipe/wire'
import type { Task } from '../../../common/task'
import type { Claim } from '../../queue/claim'
import type { WorkerListener } from './worker-exit'

type Kind = 'add' | 'tasksAdded' | 'cancelRequested' | 'taskCancelled' | 'typePaused' | 'ask' | 'await' | 'stopWaiting'
export type Request = Extract<ToMaster, { kind: Kind }>

export interface WorkerRequestsParts {
  readonly listener: WorkerListener
  readonly send: (message: ToWorker) => void
  /** The claim of a job that the worker has. */
  readonly claimOf: (token: string) => Claim | undefined
}

/** What the jobs of one worker ask of its master, beside running. */
export class WorkerRequests {
  readonly #parts: WorkerRequestsParts
  readonly #waits = new OpenWaits<Wait>()

  constructor(parts: WorkerRequestsParts) {
    this.#parts = parts
  }

  /** How many jobs wait for the ends of other tasks, and lend their slots meanwhile. */
  get lentSlots(): number {
    return this.#waits.lentSlots
  }

  isLent(token: string): boolean {
    return this.#waits.isLent(token)
  }

  receive(message: Request): void {
    const { listener } = this.#parts
    switch (message.kind) {
      case 'add':
        void this.add(message.offer, decode(message.task) as Task)
        return
      case 'tasksAdded':
        this.addedTasks(message)
        return
      case 'cancelRequested':
        listener.cancelRequested(message.token)
        return
      case 'taskCancelled':
        listener.taskCancelled(decode(message.task) as Task)
        return
      case 'typePaused':
        listener.typePaused(message.taskType, message.isPaused)
        return
      case 'await':
        this.await(message)
        return
      case 'stopWaiting':
        this.#waits.take(message.wait)?.stop()
        return
      case 'ask':
        this.ask(message)
    }
  }

  /** A job is over, or all are. @param token of the job; default: all jobs */
  jobOver(token?: string): void {
    for (const wait of this.#waits.takeAll(token)) wait.stop()
  }

  private async add(offer: number, task: Task): Promise<void> {
    this.#parts.send({ kind: 'added', offer, outcome: await addOutcomeOf(this.#parts.listener.addRequested(task)) })
  }

  private addedTasks({ areNew, tasks }: Extract<Request, { kind: 'tasksAdded' }>): void {
    const signals = tasks.map(({ dueDate, ...task }) => ({ ...task, dueDate: new Date(dueDate) }))
    if (areNew) this.#parts.listener.tasksAdded(signals)
    else for (const signal of signals) this.#parts.listener.taskRetried(signal)
  }

  private await({ wait: id, token, _id, createdAt, sequence }: Extract<Request, { kind: 'await' }>): void {
    // The job may be over by now.
    if (this.#parts.claimOf(token) === undefined) return
    const wait = this.#parts.listener.waitRequested({ _id, createdAt: new Date(createdAt), sequence })
    this.#waits.add(id, token, wait)
    this.#parts.listener.slotLent()
    void wait.ending.then(ending => {
      if (this.#waits.take(id) !== undefined) this.#parts.send({ kind: 'ended', wait: id, ending: endedOf(ending) })
    })
  }

  private ask(message: Extract<Request, { kind: 'ask' }>): void {
    const { token, conversation } = message
    const answer = (given: Answer) => {
      this.#parts.send({ kind: 'answer', token, conversation, answer: given })
    }
    const claim = this.#parts.claimOf(token)
    if (claim !== undefined) this.#parts.listener.questionAsked({ claim, message, answer })
    else answer(refused(new Error('nschwarz:cluster: the task that asks has ended.')))
  }
}

export function refused(error: Error): Answer {
  return { kind: 'refused', error: errorToWire(error) }
}

function endedOf(ending: Ending): Ended {
  return ending.kind === 'done'
    ? { kind: 'done', value: toWire(ending.value) }
    : { kind: 'failed', error: errorToWire(ending.error) }
}

async function addOutcomeOf(adding: Promise<boolean>): Promise<AddOutcome> {
  try {
    return { kind: (await adding) ? 'stored' : 'declined' }
  } catch (error) {
    if (error instanceof DuplicateTaskError) return { kind: 'duplicate' }
    return { kind: 'failed', error: errorToWire(toError(error)) }
  }
}

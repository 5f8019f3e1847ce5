import { setTimeout as pause } from 'node:timers/promises'
import { errorFromWire, fromWire, messageOf } from '../../common/errors'
import type { Log } from '../../common/log'
import type { Outcome } from '../../common/protocol'
import type { TaskFailure } from '../../common/task'
import type { Claim } from '../queue/claim'
import type { Leases } from './leases'
import type { Listeners, TaskEvents, TaskEventType } from '../queue/listeners'

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5000

/** What becomes of a claim when its job has ended: stored first, told to the listeners second. */
export class Settlement {
  readonly #leases: Leases
  readonly #listeners: Listeners
  readonly #log: Log

  constructor(leases: Leases, listeners: Listeners, log: Log) {
    this.#leases = leases
    this.#listeners = listeners
    this.#log = log
  }

  /** Never rejects. */
  async settle(claim: Claim, outcome: Outcome): Promise<void> {
    switch (outcome.kind) {
      case 'done':
        if (await this.store(claim, () => claim.store.complete(claim))) {
          await this.emit('done', { value: fromWire(outcome.value), task: claim.task })
        }
        return
      case 'failed': {
        const error = errorFromWire(outcome.error)
        const failure = toFailure(error)
        if (await this.store(claim, () => claim.store.fail(claim, failure))) {
          await this.emit('error', { value: error, task: { ...claim.task, state: 'failed', error: failure } })
        }
      }
    }
  }

  /** Gives the task back, so that it runs again from the beginning. Never rejects. */
  async giveBack(claim: Claim, reason: string): Promise<void> {
    if (await this.store(claim, () => claim.store.release(claim))) {
      this.#log.taskError(claim.task, `given back: ${reason}`)
    }
  }

  private async store(claim: Claim, write: () => Promise<boolean>): Promise<boolean> {
    this.#leases.end(claim)
    const isStored = await this.writeUntilTaken(claim, write)
    this.#leases.forget(claim)
    return isStored
  }

  /** @returns false when the task is no longer this claim's */
  private async writeUntilTaken(claim: Claim, write: () => Promise<boolean>): Promise<boolean> {
    for (let wait = FIRST_PAUSE_MS; ; wait = Math.min(2 * wait, LONGEST_PAUSE_MS)) {
      try {
        const isStored = await write()
        if (!isStored) this.#log.taskError(claim.task, 'ended, but was removed or taken by another meanwhile: ignored')
        return isStored
      } catch (error) {
        this.#log.taskError(claim.task, `cannot be stored, trying again in ${String(wait)} ms: ${messageOf(error)}`)
        await pause(wait)
      }
    }
  }

  private async emit<Type extends TaskEventType>(type: Type, event: TaskEvents[Type]): Promise<void> {
    const error = await this.#listeners.emit(type, event)
    if (error !== undefined) {
      this.#log.taskError(event.task, `the '${type}' listener threw: ${error.stack ?? error.message}`)
    }
  }
}

function toFailure(error: Error): TaskFailure {
  return { name: error.name, message: error.message, stack: error.stack ?? null, failedAt: new Date() }
}

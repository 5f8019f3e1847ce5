import { setTimeout as pause } from 'node:timers/promises'
import { WorkerCrashError, messageOf } from '../../common/errors'
import { errorFromWire, fromWire } from '../../common/wire'
import type { Log } from '../../common/log'
import type { Outcome } from '../../common/protocol'
import type { TaskFailure } from '../../common/task'
import type { Claim } from '../queue/claim'
import type { Leases } from './leases'
import type { Listeners, TaskEvents, TaskEventType } from '../queue/listeners'

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5000
/** Characters of an error that are kept on the task: the whole document must stay below MongoDB's 16 MB. */
const MAX_TEXT = 10_000

/** The end of a claim as a write to its queue. */
interface Write {
  /** Resolves to false when the task does not carry the claim's token. */
  readonly apply: () => Promise<boolean>
  /** Whether the queue is as `apply` would leave it. */
  readonly isApplied: () => Promise<boolean>
}

/** What becomes of a claim when its job has ended: stored first, told to the listeners second. */
export class Settlement {
  readonly #leases: Leases
  readonly #listeners: Listeners
  readonly #maxCrashes: number
  readonly #log: Log

  constructor(leases: Leases, listeners: Listeners, maxCrashes: number, log: Log) {
    this.#leases = leases
    this.#listeners = listeners
    this.#maxCrashes = maxCrashes
    this.#log = log
  }

  /** Never rejects. */
  async settle(claim: Claim, outcome: Outcome): Promise<void> {
    switch (outcome.kind) {
      case 'done':
        if (await this.store(claim, completion(claim))) {
          await this.emit('done', { value: fromWire(outcome.value), task: claim.task })
        }
        return
      case 'failed':
        await this.fail(claim, errorFromWire(outcome.error))
    }
  }

  /** Never rejects. */
  async fail(claim: Claim, error: Error): Promise<void> {
    const failure = toFailure(error)
    if (await this.store(claim, failing(claim, failure))) {
      await this.emit('error', { value: error, task: { ...claim.task, state: 'failed', error: failure } })
    }
  }

  /**
   * The worker died while it ran the job: gives the task back, unless it has killed too many workers. Never rejects.
   *
   * @param how for instance `signal SIGKILL`
   */
  async crash(claim: Claim, how: string): Promise<void> {
    const crashes = (claim.task.crashes ?? 0) + 1
    if (crashes < this.#maxCrashes) {
      await this.release(claim, `its worker died (${how})`, crashes)
    } else {
      this.#log.taskError(claim.task, `failed: its worker died (${how}), for the ${String(crashes)}. time`)
      await this.fail(claim, new WorkerCrashError(crashes, how))
    }
  }

  /**
   * Gives the task back, so that it runs again from the beginning. Never rejects.
   *
   * @param reason for the log, if any
   * @param crashes how often a worker has died while it ran the task, if that has changed
   */
  async release(claim: Claim, reason?: string, crashes?: number): Promise<void> {
    if ((await this.store(claim, releasing(claim, crashes))) && reason !== undefined) {
      this.#log.taskError(claim.task, `given back: ${reason}`)
    }
  }

  /** @returns false when the task is no longer this claim's */
  private async store(claim: Claim, write: Write): Promise<boolean> {
    this.#leases.end(claim)
    const isStored = await this.writeUntilTaken(claim, write)
    this.#leases.forget(claim)
    if (!isStored) this.#log.taskError(claim.task, 'ended, but was removed or taken by another meanwhile: ignored')
    return isStored
  }

  /** A write that failed may have been made all the same, only its acknowledgement was lost: that is looked up, not guessed. */
  private async writeUntilTaken(claim: Claim, { apply, isApplied }: Write): Promise<boolean> {
    let isUnsure = false
    for (let wait = FIRST_PAUSE_MS; ; wait = Math.min(2 * wait, LONGEST_PAUSE_MS)) {
      try {
        return (await apply()) || (isUnsure && (await isApplied()))
      } catch (error) {
        isUnsure = true
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

function completion(claim: Claim): Write {
  return { apply: () => claim.store.complete(claim), isApplied: () => claim.store.isCompleted(claim) }
}

function failing(claim: Claim, failure: TaskFailure): Write {
  return { apply: () => claim.store.fail(claim, failure), isApplied: () => claim.store.isFailed(claim, failure) }
}

function releasing(claim: Claim, crashes?: number): Write {
  // Without the token the task is somebody else's to run, which is what giving it back is for.
  return { apply: () => claim.store.release(claim, crashes), isApplied: () => Promise.resolve(true) }
}

function toFailure(error: Error): TaskFailure {
  return {
    name: error.name.slice(0, MAX_TEXT),
    message: error.message.slice(0, MAX_TEXT),
    stack: error.stack?.slice(0, MAX_TEXT) ?? null,
    failedAt: new Date(),
  }
}

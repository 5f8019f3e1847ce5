import {
  ClusterStoppedError,
  LeaseLostError,
  TaskCancelledError,
  TaskTimeoutError,
  WorkerCrashError,
  messageOf,
} from '../../common/errors'
import type { Log } from '../../common/log'
import { DEFAULT_BACKOFF, delayOf, isDelay } from '../../common/policy'
import type { Outcome } from '../../common/protocol'
import { type Task, type TaskFailure, failuresOf } from '../../common/task'
import type { Definitions } from '../../common/task-map'
import { errorFromWire, fromWire } from '../../common/wire'
import type { Claim, Fate, Release } from '../queue/claim'
import type { Listeners, TaskEvents, TaskEventType } from '../queue/listeners'
import { ClaimWriter, type Write, completion, failing, releasing, retrying } from './claim-writer'
import type { Leases } from './leases'

/** Characters of an error that are kept on the task. */
const MAX_TEXT = 10_000

export interface SettlementParts {
  readonly leases: Leases
  readonly listeners: Listeners
  readonly definitions: Definitions
  readonly maxCrashes: number
  readonly log: Log
  /** Has the job of a claim end early, if it is still running. */
  readonly abort: (claim: Claim, reason: Error) => void
  /** A task may be claimed again. */
  readonly givenBack: () => void
}

/** How a worker died: `exit code 1` or `signal SIGKILL`, and the last lines that it wrote to stderr. */
export interface Death {
  readonly how: string
  readonly lastWords: string
}

/** What becomes of a claim when its job has ended: stored first, told to the listeners second. None of this rejects. */
export class Settlement {
  readonly #parts: SettlementParts
  readonly #writer: ClaimWriter
  /** Tokens of jobs that are running for nothing: their claim is not valid any more, which was told. */
  readonly #lost = new Set<string>()

  constructor(parts: SettlementParts) {
    this.#parts = parts
    this.#writer = new ClaimWriter(parts.leases, parts.log)
  }

  /** @param aborted why the job had been told to end early, if it had */
  async settle(claim: Claim, outcome: Outcome, aborted?: Error): Promise<void> {
    switch (outcome.kind) {
      case 'done':
        if (await this.store(claim, completion(claim))) {
          await this.emit('done', { value: fromWire(outcome.value), task: claim.task })
        }
        return
      case 'failed':
        await this.attemptFailed(claim, errorFromWire(outcome.error), aborted)
    }
  }

  /** The worker died while it ran the job: that is the job's fault, unless the worker was killed because the job did not end. */
  async died(claim: Claim, death: Death, aborted?: Error): Promise<void> {
    if (aborted === undefined) await this.crash(claim, death)
    else await this.attemptFailed(claim, aborted, aborted)
  }

  /** The task cannot be run, or not any more: no retries. */
  async fail(claim: Claim, error: Error): Promise<void> {
    const failure = toFailure(error)
    if (await this.store(claim, failing(claim, failure))) {
      const task: Task = { ...claim.task, state: 'failed', error: failure, failures: failuresOf(claim.task) + 1 }
      await this.emit('error', { value: error, task })
    }
  }

  /** Gives the task back, so that it runs again from the beginning. @param reason for the log, if any */
  async release(claim: Claim, change: Release, reason?: string): Promise<void> {
    if ((await this.store(claim, releasing(claim, change))) && reason !== undefined) {
      this.#parts.log.taskError(claim.task, `given back: ${reason}`)
    }
    this.#parts.givenBack()
  }

  /** The claim of a running job turned out to be valid no more. */
  async lost(claim: Claim): Promise<void> {
    if (this.#lost.has(claim.token)) return
    this.#lost.add(claim.token)
    await this.tellLoss(claim)
  }

  /** Until everything is written. */
  idle(): Promise<void> {
    return this.#writer.idle()
  }

  async emit<Type extends TaskEventType>(type: Type, event: TaskEvents[Type]): Promise<void> {
    const error = await this.#parts.listeners.emit(type, event)
    if (error === undefined) return
    this.#parts.log.taskError(event.task, `the '${type}' listener threw: ${error.stack ?? error.message}`)
  }

  private async attemptFailed(claim: Claim, error: Error, aborted: Error | undefined): Promise<void> {
    if (aborted instanceof ClusterStoppedError) await this.release(claim, { hasStarted: true }, 'the cluster stops')
    else if (aborted instanceof TaskTimeoutError) await this.retryOrFail(claim, aborted)
    else await this.retryOrFail(claim, error)
  }

  private async retryOrFail(claim: Claim, error: Error): Promise<void> {
    const { task } = claim
    const failures = failuresOf(task) + 1
    const retries = task.retries ?? this.#parts.definitions.get(task.taskType)?.retries ?? 0
    if (failures > retries) {
      await this.fail(claim, error)
      return
    }
    const failure = toFailure(error)
    const delay = this.delayAfter(task, failures, error)
    if (await this.store(claim, retrying(claim, failure, delay))) {
      const dueDate = new Date(Date.now() + delay)
      await this.emit('retry', {
        value: error,
        task: { ...task, state: 'scheduled', dueDate, error: failure, failures },
      })
    }
    this.#parts.givenBack()
  }

  /** Milliseconds. The application's own function must not cost the task its retry. */
  private delayAfter(task: Task, failures: number, error: Error): number {
    const backoff = task.backoff ?? this.#parts.definitions.get(task.taskType)?.backoff ?? DEFAULT_BACKOFF
    if (typeof backoff !== 'function') return delayOf(backoff, failures, Math.random())
    try {
      const delay: unknown = backoff(failures, error)
      if (isDelay(delay)) return delay
      this.#parts.log.taskError(
        task,
        `backoff gave ${String(delay)}; allowed: milliseconds, from 0. The default is used`,
      )
    } catch (thrown) {
      this.#parts.log.taskError(task, `backoff threw: ${messageOf(thrown)}. The default is used`)
    }
    return delayOf(DEFAULT_BACKOFF, failures, Math.random())
  }

  private async crash(claim: Claim, { how, lastWords }: Death): Promise<void> {
    const crashes = (claim.task.crashes ?? 0) + 1
    if (crashes < this.#parts.maxCrashes) {
      await this.release(claim, { hasStarted: true, crashes }, `its worker died (${how})`)
    } else {
      this.#parts.log.taskError(claim.task, `failed: its worker died (${how}), for the ${String(crashes)}. time`)
      await this.fail(claim, new WorkerCrashError(crashes, how, lastWords))
    }
  }

  /** @returns false when the task is no longer this claim's */
  private async store(claim: Claim, write: Write): Promise<boolean> {
    if (this.#lost.delete(claim.token)) return false
    const isStored = await this.#writer.write(claim, write)
    // It may have been told while the write was on its way.
    if (!isStored && !this.#lost.delete(claim.token)) await this.tellLoss(claim)
    return isStored
  }

  private async tellLoss(claim: Claim): Promise<void> {
    const { abort, log } = this.#parts
    const { task } = claim
    switch (await this.fateOf(claim)) {
      case 'removed':
        log.taskError(task, 'lease lost: the task was removed; what its job reports is ignored')
        return
      case 'cancelled':
        log.task(task, 'cancelled')
        abort(claim, new TaskCancelledError())
        await this.emit('cancelled', { task: { ...task, state: 'cancelled', cancelledAt: new Date() } })
        return
      case 'taken':
        log.taskError(task, 'lease lost: the task was taken by another; what its job reports is ignored')
        abort(claim, new LeaseLostError())
        await this.emit('stalled', { task })
    }
  }

  /** Whatever it is, the claim is void: when the database cannot tell why, the worst is assumed. */
  private async fateOf(claim: Claim): Promise<Fate> {
    try {
      return await claim.store.fateOf(claim)
    } catch (error) {
      this.#parts.log.taskError(claim.task, `cannot find out what became of it: ${messageOf(error)}`)
      return 'taken'
    }
  }
}

function toFailure(error: Error): TaskFailure {
  return {
    name: error.name.slice(0, MAX_TEXT),
    message: error.message.slice(0, MAX_TEXT),
    stack: error.stack?.slice(0, MAX_TEXT) ?? null,
    failedAt: new Date(),
  }
}

import { ClusterStoppedError, TaskTimeoutError, WorkerCrashError } from '../../common/errors'
import type { Log } from '../../common/log'
import type { Outcome } from '../../common/protocol'
import { type Task, type TaskFailure, failuresOf } from '../../common/task'
import { type Definitions, policyOf } from '../../common/task-map'
import { type WireValue, errorFromWire, fromWire } from '../../common/wire'
import type { Claim, Counts, Ending, Release } from '../queue/claim'
import { delayAfter } from './backoff'
import { ClaimWriter } from './claim-writer'
import type { Events } from './events'
import type { Leases } from './leases'
import type { Losses } from './losses'
import type { Death } from './worker-events'

/** Characters of an error that are kept on the task. */
const MAX_TEXT = 10_000

export interface SettlementParts {
  readonly leases: Leases
  readonly losses: Losses
  readonly events: Events
  readonly definitions: Definitions
  readonly maxCrashes: number
  readonly log: Log
  /** A task may be claimed again. */
  readonly givenBack: () => void
  /** A persistent task may be claimed again in so many milliseconds. */
  readonly retriedIn: (delay: number) => void
}

/** What becomes of a claim: stored first, told to the listeners second. None of this rejects. */
export class Settlement {
  readonly #parts: SettlementParts
  readonly #writer: ClaimWriter
  readonly #pending = new Set<Promise<void>>()

  constructor(parts: SettlementParts) {
    this.#parts = parts
    this.#writer = new ClaimWriter(parts.leases, parts.log)
  }

  /** The job ended by itself. @param aborted why it had been told to end early, if it had */
  settle(claim: Claim, outcome: Outcome, aborted?: Error): Promise<void> {
    return this.track(
      outcome.kind === 'done'
        ? this.complete(claim, outcome.value)
        : this.attemptFailed(claim, errorFromWire(outcome.error), aborted),
    )
  }

  /** The worker died while it ran the job: that is the job's fault, unless the worker was killed because the job did not end. */
  died(claim: Claim, death: Death, aborted?: Error): Promise<void> {
    return this.track(aborted === undefined ? this.crash(claim, death) : this.attemptFailed(claim, aborted, aborted))
  }

  /** The task cannot be run: no retries. */
  fail(claim: Claim, error: Error, counts: Counts): Promise<void> {
    return this.track(this.storeFailure(claim, error, counts))
  }

  /** Gives the task back, so that it runs again from the beginning. @param reason for the log, if any */
  release(claim: Claim, change: Release, reason?: string): Promise<void> {
    return this.track(this.giveBack(claim, change, reason))
  }

  /** Until everything is written and told. */
  async idle(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending)
  }

  private track(work: Promise<void>): Promise<void> {
    const pending = work.finally(() => this.#pending.delete(pending))
    this.#pending.add(pending)
    return pending
  }

  private async complete(claim: Claim, value: WireValue): Promise<void> {
    if (await this.store(claim, { kind: 'completed' })) {
      await this.#parts.events.tell('done', { value: fromWire(value), task: claim.task })
    }
  }

  private async storeFailure(claim: Claim, error: Error, counts: Counts): Promise<void> {
    const failure = toFailure(error)
    if (await this.store(claim, { kind: 'failed', error: failure, counts })) {
      const task: Task = { ...claim.task, ...counts, state: 'failed', error: failure }
      await this.#parts.events.tell('error', { value: error, task })
    }
  }

  private async giveBack(claim: Claim, change: Release, reason?: string): Promise<void> {
    if ((await this.store(claim, { kind: 'released', ...change })) && reason !== undefined) {
      this.#parts.log.taskError(claim.task, `given back: ${reason}`)
    }
    this.#parts.givenBack()
  }

  private async attemptFailed(claim: Claim, error: Error, aborted: Error | undefined): Promise<void> {
    if (aborted instanceof ClusterStoppedError) await this.giveBack(claim, { hasStarted: true }, 'the cluster stops')
    else if (aborted instanceof TaskTimeoutError) await this.retryOrFail(claim, aborted)
    else await this.retryOrFail(claim, error)
  }

  private async retryOrFail(claim: Claim, error: Error): Promise<void> {
    const { task } = claim
    const counts = { failures: failuresOf(task) + 1 }
    const policy = policyOf(task, this.#parts.definitions)
    if (counts.failures > policy.retries) {
      await this.storeFailure(claim, error, counts)
      return
    }
    const failure = toFailure(error)
    const delay = delayAfter(policy, task, counts.failures, error, this.#parts.log)
    if (await this.store(claim, { kind: 'retried', error: failure, counts, delay })) {
      const again: Task = {
        ...task,
        ...counts,
        state: 'scheduled',
        dueDate: new Date(Date.now() + delay),
        error: failure,
      }
      if (claim.store.hasLeases) this.#parts.retriedIn(delay)
      await this.#parts.events.tell('retry', { value: error, task: again })
    }
    this.#parts.givenBack()
  }

  private async crash(claim: Claim, { blame, how, lastWords }: Death): Promise<void> {
    const crashes = (claim.task.crashes ?? 0) + 1
    if (blame === 'none') {
      await this.giveBack(claim, { hasStarted: true }, `its worker was killed for another job (${how})`)
    } else if (blame === 'possible') {
      const reason = `its worker died (${how}) while it ran others too: it runs alone from now on`
      await this.giveBack(claim, { hasStarted: true, isSuspect: true }, reason)
    } else if (crashes < this.#parts.maxCrashes) {
      await this.giveBack(claim, { hasStarted: true, crashes }, `its worker died (${how})`)
    } else {
      this.#parts.log.taskError(claim.task, `failed: its worker died (${how}), for the ${String(crashes)}. time`)
      await this.storeFailure(claim, new WorkerCrashError(crashes, how, lastWords), { crashes })
    }
  }

  /** @returns false when the task is no longer this claim's */
  private async store(claim: Claim, ending: Ending): Promise<boolean> {
    const { losses } = this.#parts
    if (losses.jobEnded(claim)) return false
    const isStored = await this.#writer.write(claim, ending)
    // It may have been told while the write was on its way.
    if (!losses.jobEnded(claim) && !isStored) await losses.tell(claim)
    return isStored
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

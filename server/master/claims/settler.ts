import { ClusterStoppedError, TaskTimeoutError, WorkerCrashError } from '../../../common/errors'
import type { Log } from '../../../common/log'
import type { Outcome } from '../../../common/protocol'
import { type Task, type TaskFailure, failuresOf } from '../../../common/task'
import { type Definitions, policyOf } from '../../../common/task-map'
import { type WireValue, errorFromWire, fromWire } from '../../../common/wire'
import type { Claim, Counts, Ending, Release } from '../../queue/claim'
import { delayAfter } from './backoff'
import { ClaimWriter } from './outbox'
import type { Events } from './events'
import type { Leases } from './claims'
import type { Losses } from './losses'
import type { Death } from '../../pool/worker-exit'

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

/** Called when the end of a claim is stored, or turned out to be void. @returns a promise while somebody is still being told */
type Told = (isStored: boolean) => Promise<void> | undefined

/** What becomes of a claim: stored first, told to the listeners second. */
export class Settlement {
  readonly #parts: SettlementParts
  readonly #writer: ClaimWriter
  /** How many ends are still to be written or told. */
  #pending = 0
  readonly #whenIdle: (() => void)[] = []

  constructor(parts: SettlementParts) {
    this.#parts = parts
    this.#writer = new ClaimWriter(parts.leases, parts.log)
  }

  /** The job ended by itself. @param aborted why it had been told to end early, if it had */
  settle(claim: Claim, outcome: Outcome, aborted?: Error): void {
    if (outcome.kind === 'done') this.complete(claim, outcome.value)
    else this.attemptFailed(claim, errorFromWire(outcome.error), aborted)
  }

  /** The worker died while it ran the job: that is the job's fault, unless the worker was killed because the job did not end. */
  died(claim: Claim, death: Death, aborted?: Error): void {
    if (aborted === undefined) this.crash(claim, death)
    else this.attemptFailed(claim, aborted, aborted)
  }

  /** The task cannot be run: no retries. */
  fail(claim: Claim, error: Error, counts: Counts): void {
    const failure = toFailure(error)
    this.store(claim, { kind: 'failed', error: failure, counts }, isStored => {
      if (!isStored) return undefined
      const task: Task = { ...claim.task, ...counts, state: 'failed', error: failure }
      return this.#parts.events.tell('error', { value: error, task })
    })
  }

  /** Gives the task back, so that it runs again from the beginning. @param reason for the log, if any */
  release(claim: Claim, change: Release, reason?: string): void {
    this.store(claim, { kind: 'released', ...change }, isStored => {
      if (isStored && reason !== undefined) this.#parts.log.taskError(claim.task, `given back: ${reason}`)
      this.#parts.givenBack()
      return undefined
    })
  }

  /** Until everything is written and told. */
  async idle(): Promise<void> {
    while (this.#pending > 0) await new Promise<void>(resolve => this.#whenIdle.push(resolve))
  }

  private complete(claim: Claim, value: WireValue): void {
    this.store(claim, { kind: 'completed' }, isStored =>
      isStored ? this.#parts.events.tell('done', { value: fromWire(value), task: claim.task }) : undefined,
    )
  }

  private attemptFailed(claim: Claim, error: Error, aborted: Error | undefined): void {
    if (aborted instanceof ClusterStoppedError) this.release(claim, { hasStarted: true }, 'the cluster stops')
    else if (aborted instanceof TaskTimeoutError) this.retryOrFail(claim, aborted)
    else this.retryOrFail(claim, error)
  }

  private retryOrFail(claim: Claim, error: Error): void {
    const { task } = claim
    const counts = { failures: failuresOf(task) + 1 }
    const policy = policyOf(task, this.#parts.definitions)
    if (counts.failures > policy.retries) this.fail(claim, error, counts)
    else this.retry(claim, error, counts, delayAfter(policy, task, counts.failures, error, this.#parts.log))
  }

  private retry(claim: Claim, error: Error, counts: Counts, delay: number): void {
    const failure = toFailure(error)
    this.store(claim, { kind: 'retried', error: failure, counts, delay }, isStored => {
      const dueDate = new Date(Date.now() + delay)
      const task: Task = { ...claim.task, ...counts, state: 'scheduled', dueDate, error: failure }
      if (isStored && claim.store.hasLeases) this.#parts.retriedIn(delay)
      const telling = isStored ? this.#parts.events.tell('retry', { value: error, task }) : undefined
      this.#parts.givenBack()
      return telling
    })
  }

  private crash(claim: Claim, { blame, how, lastWords }: Death): void {
    const crashes = (claim.task.crashes ?? 0) + 1
    if (blame === 'none') {
      this.release(claim, { hasStarted: true }, `its worker was killed for another job (${how})`)
    } else if (blame === 'possible') {
      const reason = `its worker died (${how}) while it ran others too: it runs alone from now on`
      this.release(claim, { hasStarted: true, isSuspect: true }, reason)
    } else if (crashes < this.#parts.maxCrashes) {
      this.release(claim, { hasStarted: true, crashes }, `its worker died (${how})`)
    } else {
      this.#parts.log.taskError(claim.task, `failed: its worker died (${how}), for the ${String(crashes)}. time`)
      this.fail(claim, new WorkerCrashError(crashes, how, lastWords), { crashes })
    }
  }

  /** Writes how the claim ends, unless it is void. */
  private store(claim: Claim, ending: Ending, told: Told): void {
    const { losses } = this.#parts
    this.#pending++
    if (losses.jobEnded(claim)) {
      this.settled(told(false))
      return
    }
    this.#writer.write(claim, ending, isStored => {
      // It may have been told while the write was on its way.
      const isLost = !losses.jobEnded(claim) && !isStored
      const telling = told(isStored)
      this.settled(isLost ? losses.tell(claim) : telling)
    })
  }

  private settled(telling: Promise<void> | undefined): void {
    if (telling !== undefined) {
      void telling.then(() => {
        this.settled(undefined)
      })
      return
    }
    this.#pending--
    if (this.#pending === 0) for (const resolve of this.#whenIdle.splice(0)) resolve()
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

import { ClusterStoppedError, TaskTimeoutError, WorkerCrashError, textOf } from '../../../common/errors'
import type { Log } from '../../../common/log'
import type { Outcome } from '../../../common/pipe/protocol'
import { type Task, type TaskFailure, failuresOf } from '../../../common/task'
import { type Definitions, policyOf } from '../../../common/task-map'
import { type WireValue, errorFromWire, fromWire } from '../../../common/pipe/wire'
import {
  type Counts,
  type Loss,
  type Release,
  type SettleRequest,
  type Settlement,
  type Verdict,
  isLoss,
} from '../../queue/claim'
import type { MemoryQueue } from '../../queue/memory/memory-queue'
import type { Death } from '../../pool/worker-exit'
import { delayAfter } from './backoff'
import type { Claims } from './claims'
import type { Events } from './events'
import type { HeldClaim } from './held-claim'
import type { Outbox } from './outbox'

/** Characters of an error that are kept on the task. */
const MAX_TEXT = 10_000

/** What follows from a settlement for the master. */
export interface SettlerListener {
  /** A task may be claimed again. */
  taskReleased(): void
  /** A persistent task may be claimed again in `delay` milliseconds. */
  taskRetried(task: Task, delay: number): void
}

export interface SettlerParts {
  readonly claims: Claims
  readonly definitions: Definitions
  readonly events: Events
  readonly log: Log
  readonly maxCrashes: number
  readonly memory: MemoryQueue
  readonly outbox: Outbox
}

/** Tells the listeners of a settlement that was written. @returns a promise while a listener has not finished */
type Emit = () => Promise<void> | undefined

const EMIT_NOTHING: Emit = () => undefined

/** Decides what becomes of a claim whose job has left: stored first, emitted second. */
export class Settler {
  readonly #parts: SettlerParts
  #listener: SettlerListener | undefined
  /** Settlements that are still to be written, or whose listeners have not finished. */
  #pending = 0
  readonly #whenIdle: (() => void)[] = []

  constructor(parts: SettlerParts) {
    this.#parts = parts
  }

  listen(listener: SettlerListener): void {
    this.#listener = listener
  }

  /** The job ended by itself. @param aborted why it had been told to end early, if it had */
  jobEnded(held: HeldClaim, outcome: Outcome, aborted?: Error): void {
    if (held.isCancelRequested) this.cancel(held, true)
    else if (outcome.kind === 'done') this.complete(held, outcome.value)
    else this.attemptFailed(held, errorFromWire(outcome.error), aborted, outcome.isFinal)
  }

  /**
   * The worker died while it ran the job: that is the job's fault, unless the worker was killed because the job did not
   * end.
   */
  workerDied(held: HeldClaim, death: Death, aborted?: Error): void {
    if (held.isCancelRequested) this.cancel(held, true)
    else if (aborted === undefined) this.crash(held, death)
    else this.attemptFailed(held, aborted, aborted)
  }

  /** The task cannot be run: no retries. */
  fail(held: HeldClaim, error: Error, counts: Counts): void {
    const failure = toFailure(error)
    this.settle(held, { kind: 'failed', error: failure, counts }, () => {
      const task: Task = { ...held.claim.task, ...counts, state: 'failed', error: failure }
      return this.#parts.events.emit('error', { value: error, task })
    })
  }

  /** Releases the task, so that it runs again from the beginning. @param reason for the log, if any */
  release(held: HeldClaim, change: Release, reason?: string): void {
    this.settle(held, { kind: 'released', ...change }, () => {
      if (reason !== undefined) this.#parts.log.taskError(held.claim.task, `released: ${reason}`)
      return undefined
    })
  }

  /** The job will not start: its task is to be cancelled, or its claim is void. */
  withdraw(held: HeldClaim): void {
    this.cancel(held, false)
  }

  /** The claim is void before its job has ended. */
  lost(held: HeldClaim, loss: Loss): void {
    this.pend(this.emitLoss(held, loss))
  }

  /** Until everything is written and emitted. */
  async idle(): Promise<void> {
    while (this.#pending > 0) await new Promise<void>(resolve => this.#whenIdle.push(resolve))
  }

  private cancel(held: HeldClaim, hasStarted: boolean): void {
    this.settle(held, { kind: 'cancelled', hasStarted }, EMIT_NOTHING)
  }

  private complete(held: HeldClaim, value: WireValue): void {
    this.settle(held, { kind: 'done' }, () =>
      this.#parts.events.emit('done', { value: fromWire(value), task: held.claim.task }),
    )
  }

  /** @param isFinal whether another attempt would fail in the same way */
  private attemptFailed(held: HeldClaim, error: Error, aborted: Error | undefined, isFinal = false): void {
    if (aborted instanceof ClusterStoppedError) this.release(held, { hasStarted: true }, 'the cluster stops')
    else if (aborted instanceof TaskTimeoutError) this.retryOrFail(held, aborted)
    else if (isFinal) this.fail(held, error, { failures: failuresOf(held.claim.task) + 1 })
    else this.retryOrFail(held, error)
  }

  private retryOrFail(held: HeldClaim, error: Error): void {
    const { task } = held.claim
    const counts = { failures: failuresOf(task) + 1 }
    const policy = policyOf(task, this.#parts.definitions)
    if (counts.failures > policy.retries) {
      this.fail(held, error, counts)
      return
    }
    // Before the application's `backoff` gets the error, and may change it.
    const failure = toFailure(error)
    const delay = delayAfter(policy, task, counts.failures, error, this.#parts.log)
    this.settle(held, { kind: 'retried', error: failure, counts, delay }, () => {
      const dueDate = new Date(Date.now() + delay)
      const retried: Task = { ...task, ...counts, state: 'scheduled', dueDate, error: failure }
      if (!held.claim.inMemory) this.#listener?.taskRetried(retried, delay)
      return this.#parts.events.emit('retry', { value: error, task: retried })
    })
  }

  private crash(held: HeldClaim, { blame, how, lastWords }: Death): void {
    const { task } = held.claim
    const crashes = (task.crashes ?? 0) + 1
    if (blame === 'none') {
      this.release(held, { hasStarted: true }, `its worker was killed for another job (${how})`)
    } else if (blame === 'possible') {
      const reason = `its worker died (${how}) while it ran others too: it runs alone from now on`
      this.release(held, { hasStarted: true, isSuspect: true }, reason)
    } else if (crashes < this.#parts.maxCrashes) {
      this.release(held, { hasStarted: true, crashes }, `its worker died (${how})`)
    } else {
      this.#parts.log.taskError(task, `failed: its worker died (${how}), crash ${String(crashes)}`)
      this.fail(held, new WorkerCrashError(crashes, how, lastWords), { crashes })
    }
  }

  /**
   * Writes what becomes of the claim, unless it is void. A request to cancel the task wins over `settlement`, and is
   * known here or found by the write.
   *
   * @param emit called once the settlement is written as asked
   */
  private settle(held: HeldClaim, settlement: Settlement, emit: Emit): void {
    const { claims, memory, outbox } = this.#parts
    held.moveTo('left')
    if (held.validity === 'void') {
      claims.forgetIfOver(held)
      this.#listener?.taskReleased()
      return
    }
    const asked = held.isCancelRequested ? asCancelled(settlement) : settlement
    held.become('settling')
    this.#pending++
    const conclude = (verdict: Verdict) => {
      this.conclude(held, asked, verdict, emit)
      this.#pending--
      this.resolveIfIdle()
    }
    if (held.claim.inMemory) conclude(memory.settle(held.claim, asked))
    else outbox.write(requestFor(held, asked), conclude)
  }

  // Invariant 3: store first, emit second.
  private conclude(held: HeldClaim, settlement: Settlement, verdict: Verdict, emit: Emit): void {
    held.become(isLoss(verdict) ? 'void' : 'settled')
    this.#parts.claims.forgetIfOver(held)
    if (isLoss(verdict)) this.pend(this.emitLoss(held, verdict))
    else if (verdict === 'cancelled') this.pend(this.emitCancelled(held, settlement))
    else this.pend(emit())
    if (isLoss(verdict) || mayRunAgain(settlement)) this.#listener?.taskReleased()
  }

  private emitCancelled({ claim: { task } }: HeldClaim, settlement: Settlement): Promise<void> | undefined {
    const { attempts = 1 } = task
    const counted = hasStarted(settlement) ? attempts : attempts - 1
    const cancelled: Task = { ...task, attempts: counted, state: 'cancelled', cancelledAt: new Date() }
    return this.#parts.events.emitCancelled(cancelled)
  }

  private emitLoss({ claim: { task } }: HeldClaim, loss: Loss): Promise<void> | undefined {
    const { events, log } = this.#parts
    log.taskError(task, `lease lost: ${HOW_LOST[loss]}; what its job reports is ignored`)
    return loss === 'takenOver' ? events.emit('stalled', { task }) : undefined
  }

  private pend(emitting: Promise<void> | undefined): void {
    if (emitting === undefined) return
    this.#pending++
    void emitting.then(() => {
      this.#pending--
      this.resolveIfIdle()
    })
  }

  private resolveIfIdle(): void {
    if (this.#pending === 0) for (const resolve of this.#whenIdle.splice(0)) resolve()
  }
}

const HOW_LOST: Readonly<Record<Loss, string>> = {
  removed: 'the task was removed',
  takenOver: 'another master took the task over',
  cancelledElsewhere: 'another master took the task over and cancelled it',
}

/** The lease goes on being renewed while the settlement is on its way. */
function requestFor(held: HeldClaim, settlement: Settlement): SettleRequest {
  return {
    claim: held.claim,
    settlement,
    get leaseEndsAt() {
      return held.lease?.endsAt ?? Infinity
    },
  }
}

function asCancelled(settlement: Settlement): Settlement {
  return { kind: 'cancelled', hasStarted: hasStarted(settlement) }
}

function hasStarted(settlement: Settlement): boolean {
  return !('hasStarted' in settlement) || settlement.hasStarted
}

function mayRunAgain({ kind }: Settlement): boolean {
  return kind === 'released' || kind === 'retried'
}

function toFailure(error: Error): TaskFailure {
  return {
    name: (textOf(error, 'name') ?? 'Error').slice(0, MAX_TEXT),
    message: (textOf(error, 'message') ?? '').slice(0, MAX_TEXT),
    stack: textOf(error, 'stack')?.slice(0, MAX_TEXT) ?? null,
    failedAt: new Date(),
  }
}

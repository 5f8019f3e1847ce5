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

/** Until a task that killed its worker runs again: meanwhile those behind it have their turn. */
const CRASH_PAUSE_MS = 3000

/** So many workers in a row that die before they start a task are not a coincidence. */
const MOST_DEATHS_BEFORE = 3

/** Characters of an error that are kept on the task. */
const MAX_TEXT = 10_000

/** What follows from a settlement for the master. */
export interface SettlerListener {
  /** A persistent task may be claimed again in `delay` milliseconds. */
  taskReleased(task: Task, delay: number): void
  /** A claim is void, or an in-memory task may run again: there may be more to do. */
  claimEnded(): void
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
  /** How many workers in a row have died before they had started a task that they had alone, by its `_id`. */
  readonly #diedBefore = new Map<string, number>()

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
    const { blame, how } = death
    if (held.isCancelRequested) this.cancel(held, true)
    else if (aborted !== undefined) this.attemptFailed(held, aborted, aborted)
    else if (blame === 'certain') this.crash(held, death)
    else if (blame === 'none')
      this.release(held, { hasStarted: true }, `its worker was killed for another job (${how})`)
    else this.suspect(held, true, `its worker died (${how}) while it ran others too`)
  }

  /** The worker died, or hung and was killed, before it had started the only job that it had. */
  workerDiedBefore(held: HeldClaim, death: Death): void {
    const { _id, isSuspect } = held.claim.task
    const deaths = (this.#diedBefore.get(_id) ?? 0) + 1
    const reason = `its worker died (${death.how}) before it had started`
    if (held.validity === 'void' || held.isCancelRequested) this.withdraw(held)
    else if (isSuspect === true) this.crash(held, death, false)
    else if (deaths >= MOST_DEATHS_BEFORE) this.suspect(held, false, `${reason}, ${String(deaths)} times in a row`)
    else {
      this.release(held, { hasStarted: false }, reason)
      this.#diedBefore.set(_id, deaths)
    }
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
      return this.#parts.events.emit('retry', { value: error, task: retried })
    })
  }

  private suspect(held: HeldClaim, hasStarted: boolean, reason: string): void {
    this.release(held, { hasStarted, isSuspect: true }, `${reason}: it runs alone from now on`)
  }

  private crash(held: HeldClaim, { how, lastWords }: Death, hasStarted = true): void {
    const { log, maxCrashes } = this.#parts
    const { task } = held.claim
    const crashes = (task.crashes ?? 0) + 1
    if (crashes < maxCrashes) {
      const delay = CRASH_PAUSE_MS
      this.release(held, { hasStarted, crashes, delay }, `its worker died (${how}), again in ${String(delay)} ms`)
      return
    }
    log.taskError(task, `failed: its worker died (${how}), crash ${String(crashes)}`)
    const counts = hasStarted ? { crashes } : { crashes, attempts: (task.attempts ?? 1) - 1 }
    this.fail(held, new WorkerCrashError(crashes, how, lastWords), counts)
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
    this.#diedBefore.delete(held.claim.task._id)
    if (held.validity === 'void') {
      claims.forgetIfOver(held)
      this.#listener?.claimEnded()
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
    this.tellWhetherItRunsAgain(held, settlement, verdict)
  }

  private tellWhetherItRunsAgain({ claim }: HeldClaim, settlement: Settlement, verdict: Verdict): void {
    const runsAgain = verdict === 'settled' && (settlement.kind === 'released' || settlement.kind === 'retried')
    if (runsAgain && !claim.inMemory) this.#listener?.taskReleased(claim.task, settlement.delay ?? 0)
    else if (runsAgain || isLoss(verdict)) this.#listener?.claimEnded()
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

function toFailure(error: Error): TaskFailure {
  return {
    name: (textOf(error, 'name') ?? 'Error').slice(0, MAX_TEXT),
    message: (textOf(error, 'message') ?? '').slice(0, MAX_TEXT),
    stack: textOf(error, 'stack')?.slice(0, MAX_TEXT) ?? null,
    failedAt: new Date(),
  }
}

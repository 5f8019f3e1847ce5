import type { Log, TaskEntry } from '../../../common/log'
import type { Task } from '../../../common/task'
import { type Loss, type SettleRequest, type Settlement, type Verdict, isLoss } from '../../queue/claim'
import type { MemoryQueue } from '../../queue/memory/memory-queue'
import type { Claims } from './claims'
import type { Events } from './events'
import type { HeldClaim } from './held-claim'
import type { Outbox } from './outbox'
import { lostEntry } from './job-log'

/** Hears what a settlement means for dispatching. */
export interface SettlerListener {
  /** A persistent task may be claimed again in `delay` milliseconds. */
  taskReleased(task: Task, delay: number): void
  /** A claim is void, or an in-memory task may run again: there may be more to dispatch. */
  claimEnded(): void
}

export interface SettlerParts {
  readonly claims: Claims
  readonly events: Events
  readonly log: Log
  readonly memory: MemoryQueue
  readonly outbox: Outbox
}

/** What to log and emit once a settlement is written as asked. */
export interface Aftermath {
  /** The log entry of the outcome. */
  readonly entry?: TaskEntry
  /** Emits the event. @returns a promise if a listener has not finished yet */
  readonly emit?: () => Promise<void> | undefined
}

/** Settles a claim once no worker and no buffer has its job. Then logs the outcome and emits its event. */
export class Settler {
  readonly #parts: SettlerParts
  #listener: SettlerListener | undefined
  /** How many settlements are still to be written, and how many events have listeners that have not finished. */
  #pending = 0
  readonly #whenIdle: (() => void)[] = []

  constructor(parts: SettlerParts) {
    this.#parts = parts
  }

  listen(listener: SettlerListener): void {
    this.#listener = listener
  }

  /** Handles a claim that became void before its job had left. */
  lost(held: HeldClaim, loss: Loss): void {
    this.pend(this.emitLoss(held, loss))
  }

  /** Resolves when everything is written and all listeners have finished. */
  async idle(): Promise<void> {
    while (this.#pending > 0) await new Promise<void>(resolve => this.#whenIdle.push(resolve))
  }

  /**
   * Settles the claim, unless it is void. A cancel request overrides `settlement`, whether this master knows of it or
   * the write finds it.
   */
  settle(held: HeldClaim, settlement: Settlement, aftermath: Aftermath = {}): void {
    const { claims, memory, outbox } = this.#parts
    claims.jobLeft(held)
    if (held.validity === 'void') {
      claims.forgetIfOver(held)
      this.#listener?.claimEnded()
      return
    }
    const asked = held.isCancelRequested ? asCancelled(settlement) : settlement
    held.become('settling')
    this.#pending++
    const conclude = (verdict: Verdict) => {
      this.conclude(held, asked, verdict, aftermath)
      this.#pending--
      this.resolveIfIdle()
    }
    const request = requestFor(held, asked)
    if (held.claim.inMemory) conclude(memory.settle(request))
    else outbox.write(request, conclude)
  }

  // Invariant 3: store first, emit second.
  private conclude(held: HeldClaim, settlement: Settlement, verdict: Verdict, aftermath: Aftermath): void {
    held.become(isLoss(verdict) ? 'void' : 'settled')
    this.#parts.claims.forgetIfOver(held)
    if (isLoss(verdict)) this.pend(this.emitLoss(held, verdict))
    else if (verdict === 'cancelled') this.pend(this.emitCancelled(held, settlement))
    else this.pend(this.logAndEmit(held, aftermath))
    this.notifyRequeued(held, settlement, verdict)
  }

  private logAndEmit({ claim: { task } }: HeldClaim, { entry, emit }: Aftermath): Promise<void> | undefined {
    if (entry !== undefined) this.#parts.log.task(task, entry)
    return emit?.()
  }

  private notifyRequeued({ claim }: HeldClaim, settlement: Settlement, verdict: Verdict): void {
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
    log.task(task, lostEntry(loss))
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

function requestFor(held: HeldClaim, settlement: Settlement): SettleRequest {
  return {
    claim: held.claim,
    settlement,
    report: held.report.last,
    leaseEndsAt: () => held.lease?.endsAt ?? Infinity,
  }
}

function asCancelled(settlement: Settlement): Settlement {
  return { kind: 'cancelled', hasStarted: hasStarted(settlement) }
}

function hasStarted(settlement: Settlement): boolean {
  return !('hasStarted' in settlement) || settlement.hasStarted
}

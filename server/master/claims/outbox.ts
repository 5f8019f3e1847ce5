import { setTimeout as pause } from 'node:timers/promises'
import { monotonicNow } from '../../../common/clock'
import { messageOf } from '../../../common/errors'
import type { Log } from '../../../common/log'
import { counted } from '../../../common/text'
import type { ClaimStore, SettleRequest, Verdict } from '../../queue/claim'
import { MAX_SETTLEMENTS_PER_WRITE, WRITE_EVERY_MS } from '../../tuning'
import type { Claims } from './claims'

const FIRST_PAUSE_MS = 100
const MAX_PAUSE_MS = 5000

interface Pending {
  readonly request: SettleRequest
  /** Must not throw. */
  readonly conclude: (verdict: Verdict) => void
}

/** Writes the settlements of persistent claims to the database, and retries each until it has a verdict. */
export class Outbox {
  readonly #store: ClaimStore
  readonly #claims: Pick<Claims, 'hasBuffered'>
  readonly #log: Log
  readonly #pending: Pending[] = []
  #writing: Promise<void> | undefined
  /** When the last write was sent (performance.now). */
  #sentAt = -Infinity

  constructor(store: ClaimStore, claims: Pick<Claims, 'hasBuffered'>, log: Log) {
    this.#store = store
    this.#claims = claims
    this.#log = log
  }

  /** @param conclude called once, with the verdict; it must not throw */
  write(request: SettleRequest, conclude: (verdict: Verdict) => void): void {
    this.#pending.push({ request, conclude })
    // Settlements of the same turn go into the same write.
    if (this.#writing === undefined) this.#writing = Promise.resolve().then(() => this.writePending())
  }

  /** One write at a time: settlements that are added during a write go together into the next. */
  private async writePending(): Promise<void> {
    while (this.#pending.length > 0) {
      await this.collect()
      this.#sentAt = performance.now()
      await this.writeTogether(this.#pending.splice(0, MAX_SETTLEMENTS_PER_WRITE))
    }
    this.#writing = undefined
  }

  /** Delays the next write while jobs wait for a worker: more settlements are about to come, and throughput counts. */
  private async collect(): Promise<void> {
    const wait = this.#sentAt + WRITE_EVERY_MS - performance.now()
    if (wait > 0 && this.#pending.length < MAX_SETTLEMENTS_PER_WRITE && this.#claims.hasBuffered) await pause(wait)
  }

  private async writeTogether(batch: readonly Pending[]): Promise<void> {
    const sentAt = monotonicNow()
    let verdicts: readonly Verdict[]
    try {
      verdicts = await this.#store.settleAll(batch.map(({ request }) => request))
    } catch (error) {
      // Not awaited: later batches need not wait for these.
      void this.writeEach(batch, sentAt, error)
      return
    }
    for (const [index, { conclude }] of batch.entries()) conclude(verdicts[index] as Verdict)
  }

  // Invariant 10: a write whose acknowledgement was lost is looked up, not guessed.
  private async writeEach(batch: readonly Pending[], sentAt: number, error: unknown): Promise<void> {
    this.logFailure(batch, error)
    let left = batch
    for (let wait = FIRST_PAUSE_MS; left.length > 0; wait = Math.min(2 * wait, MAX_PAUSE_MS)) {
      await pause(wait)
      const tries = await Promise.allSettled(left.map(({ request }) => this.#store.settleOne(request, sentAt)))
      left = left.filter(({ conclude }, index) => {
        const result = tries[index]
        if (result?.status === 'fulfilled') conclude(result.value)
        return result?.status !== 'fulfilled'
      })
    }
  }

  private logFailure([first, ...others]: readonly Pending[], reason: unknown): void {
    if (first === undefined) return
    const also = others.length === 0 ? '' : ` (and ${counted(others.length, 'other')})`
    const text = `cannot be stored, trying again until it is${also}: ${messageOf(reason)}`
    this.#log.taskError(first.request.claim.task, text)
  }
}

import { setTimeout as pause } from 'node:timers/promises'
import { monotonicNow } from '../../../common/clock'
import { messageOf } from '../../../common/errors'
import type { Log } from '../../../common/log'
import type { ClaimStore, SettleRequest, Verdict } from '../../queue/claim'

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5000

const LARGEST_WRITE = 500

/**
 * After a write of this many settlements more are to be expected: they are collected for a while. Fewer are written at
 * once.
 */
const MANY = 5
const COLLECTED_MS = 20

interface Pending {
  readonly request: SettleRequest
  /** Must not throw. */
  readonly conclude: (verdict: Verdict) => void
}

/** The settlements of persistent claims on their way to the database: each is written until there is a verdict. */
export class Outbox {
  readonly #store: ClaimStore
  readonly #log: Log
  readonly #pending: Pending[] = []
  #isWriting = false

  constructor(store: ClaimStore, log: Log) {
    this.#store = store
    this.#log = log
  }

  /** @param conclude called once, with what became of the claim; it must not throw */
  write(request: SettleRequest, conclude: (verdict: Verdict) => void): void {
    this.#pending.push({ request, conclude })
    // Settlements of the same turn go into the same write.
    if (this.#pending.length === 1) queueMicrotask(() => void this.writePending())
  }

  /** One write at a time: what is added meanwhile goes together into the next. */
  private async writePending(): Promise<void> {
    if (this.#isWriting) return
    this.#isWriting = true
    while (this.#pending.length > 0) {
      const batch = this.#pending.splice(0, LARGEST_WRITE)
      await this.writeTogether(batch)
      const isWorthCollecting = batch.length >= MANY && this.#pending.length < LARGEST_WRITE
      if (isWorthCollecting) await pause(COLLECTED_MS)
    }
    this.#isWriting = false
  }

  private async writeTogether(batch: readonly Pending[]): Promise<void> {
    const sentAt = monotonicNow()
    let verdicts: readonly Verdict[]
    try {
      verdicts = await this.#store.settleAll(batch.map(({ request }) => request))
    } catch (error) {
      // Beside the next batches, which may fare better.
      void this.writeEach(batch, sentAt, error)
      return
    }
    for (const [index, { conclude }] of batch.entries()) conclude(verdicts[index] as Verdict)
  }

  // Invariant 10: a write whose acknowledgement was lost is looked up, not guessed.
  private async writeEach(batch: readonly Pending[], sentAt: number, error: unknown): Promise<void> {
    let [left, reason] = [batch, error]
    for (let wait = FIRST_PAUSE_MS; left.length > 0; wait = Math.min(2 * wait, LONGEST_PAUSE_MS)) {
      this.logFailure(left, wait, reason)
      await pause(wait)
      const tries = await Promise.allSettled(left.map(({ request }) => this.#store.settleOne(request, sentAt)))
      left = left.filter(({ conclude }, index) => {
        const result = tries[index]
        if (result?.status === 'fulfilled') conclude(result.value)
        else reason = result?.reason
        return result?.status !== 'fulfilled'
      })
    }
  }

  private logFailure([first, ...others]: readonly Pending[], wait: number, reason: unknown): void {
    if (first === undefined) return
    const also = others.length === 0 ? '' : ` (and ${String(others.length)} others)`
    const text = `cannot be stored, trying again in ${String(wait)} ms${also}: ${messageOf(reason)}`
    this.#log.taskError(first.request.claim.task, text)
  }
}

import { setTimeout as pause } from 'node:timers/promises'
import { messageOf } from '../../../common/errors'
import type { Log } from '../../../common/log'
import type { Claim, ClaimEnd, ClaimStore, Ending } from '../../queue/claim'
import type { Leases } from './claims'

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5000

const LARGEST_WRITE = 500

/** After a write of so many, more are to be expected: they are collected for a while. A few are written at once. */
const MANY = 5
const COLLECTED_MS = 20

/** Called once the end is written, or the task is known to be no longer its claim's. */
type Settle = (isWritten: boolean) => void

interface Pending {
  readonly end: ClaimEnd
  readonly settle: Settle
}

/** The ends that are still to be written to one queue. */
interface Outbox {
  readonly store: ClaimStore
  readonly waiting: Pending[]
  isWriting: boolean
}

/** Writes the ends of claims to their queue: each until it is there, or known to be void. */
export class ClaimWriter {
  readonly #leases: Leases
  readonly #log: Log
  readonly #outboxes = new Map<ClaimStore, Outbox>()

  constructor(leases: Leases, log: Log) {
    this.#leases = leases
    this.#log = log
  }

  /** @param settle must not throw */
  write(claim: Claim, ending: Ending, settle: Settle): void {
    this.#leases.end(claim)
    const outbox = this.outboxOf(claim.store)
    outbox.waiting.push({ end: { claim, ending }, settle })
    // What ends in the same turn goes into the same write.
    if (outbox.waiting.length === 1) queueMicrotask(() => void this.send(outbox))
  }

  private outboxOf(store: ClaimStore): Outbox {
    const outbox = this.#outboxes.get(store) ?? { store, waiting: [], isWriting: false }
    this.#outboxes.set(store, outbox)
    return outbox
  }

  /** One write at a time: what ends meanwhile goes together into the next. */
  private async send(outbox: Outbox): Promise<void> {
    if (outbox.isWriting) return
    outbox.isWriting = true
    while (outbox.waiting.length > 0) {
      const batch = outbox.waiting.splice(0, LARGEST_WRITE)
      await this.writeTogether(outbox.store, batch)
      const isWorthIt = outbox.store.hasLeases && batch.length >= MANY && outbox.waiting.length < LARGEST_WRITE
      if (isWorthIt) await pause(COLLECTED_MS)
    }
    outbox.isWriting = false
  }

  private async writeTogether(store: ClaimStore, batch: readonly Pending[]): Promise<void> {
    let written: ReadonlySet<Claim>
    try {
      written = await store.end(batch.map(({ end }) => end))
    } catch (error) {
      // Beside the others, which may fare better.
      void this.writeEach(batch, error)
      return
    }
    for (const pending of batch) this.settle(pending, written.has(pending.end.claim))
  }

  /** A write that failed may have been made all the same, only its acknowledgement was lost: that is looked up, not guessed. */
  private async writeEach(batch: readonly Pending[], error: unknown): Promise<void> {
    let [left, reason] = [batch, error]
    for (let wait = FIRST_PAUSE_MS; left.length > 0; wait = Math.min(2 * wait, LONGEST_PAUSE_MS)) {
      this.logFailure(left, wait, reason)
      await pause(wait)
      const tries = await Promise.allSettled(left.map(({ end }) => end.claim.store.endAgain(end)))
      left = left.filter((pending, index) => {
        const result = tries[index]
        if (result?.status === 'fulfilled') this.settle(pending, result.value)
        else reason = result?.reason
        return result?.status !== 'fulfilled'
      })
    }
  }

  private settle({ end, settle }: Pending, isWritten: boolean): void {
    this.#leases.forget(end.claim)
    settle(isWritten)
  }

  private logFailure([first, ...others]: readonly Pending[], wait: number, reason: unknown): void {
    if (first === undefined) return
    const also = others.length === 0 ? '' : ` (and ${String(others.length)} others)`
    const text = `cannot be stored, trying again in ${String(wait)} ms${also}: ${messageOf(reason)}`
    this.#log.taskError(first.end.claim.task, text)
  }
}

import type { ResolvedOptions } from '../../../common/options'
import type { MongoClaims } from '../../queue/mongo/claim'
import type { MemoryQueue } from '../../queue/memory/memory-queue'
import type { DueTimer } from './due-timer'
import type { LocalQueue } from './local-queue'
import type { Pool } from '../../pool/pool'

export interface ScalingParts {
  readonly queue: MongoClaims
  readonly dueTimer: DueTimer
  readonly localQueue: LocalQueue
  readonly memory: MemoryQueue
  readonly memoryTimer: DueTimer
  readonly pool: Pool
  readonly options: ResolvedOptions
}

/** How many workers there are: as many as there is work for, and as `keepAlive` says. */
export class Scaling {
  readonly #parts: ScalingParts

  constructor(parts: ScalingParts) {
    this.#parts = parts
  }

  get canGrow(): boolean {
    return this.#parts.pool.slotsToFork > 0
  }

  /** In-memory tasks wait for no database. */
  growForMemory(): void {
    const { memory, pool } = this.#parts
    const { freeSlots, slotsToFork } = pool
    if (slotsToFork > 0) pool.grow(memory.countDue(freeSlots + slotsToFork) - freeSlots)
  }

  /**
   * @param mayBeMore whether there may be tasks that are due and not claimed
   * @throws when it has to count these and the database is away (rejects)
   */
  async grow(mayBeMore: boolean): Promise<void> {
    const { localQueue, memory, options, pool, queue } = this.#parts
    const { freeSlots, slotsToFork } = pool
    if (slotsToFork === 0) return
    if (options.keepAlive === 'always') {
      pool.grow(slotsToFork)
      return
    }
    const limit = freeSlots + slotsToFork
    const local = memory.countDue(limit) + localQueue.size
    // Where a worker is idle, all that is due has been claimed.
    const isUnknown = mayBeMore && pool.scheduler.idleSlots === 0 && local < limit
    pool.grow(local + (isUnknown ? await queue.countDue(limit - local) : 0) - freeSlots)
  }

  /** A task will be due when a worker that is forked now has booted. */
  growAhead(): void {
    const { pool } = this.#parts
    if (pool.freeSlots === 0) pool.grow(1)
  }

  /** @param least milliseconds for which a worker must have been idle in any case */
  shrink(least: number): void {
    const { dueTimer, memoryTimer, options, pool } = this.#parts
    const { keepAlive } = options
    const isNeeded = keepAlive === 'always' || dueTimer.isNear || memoryTimer.isNear
    if (!isNeeded) pool.closeIdle(Math.max(keepAlive ?? 0, least))
  }
}

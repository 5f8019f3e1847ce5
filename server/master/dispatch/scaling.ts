import type { ResolvedOptions } from '../../../common/options'
import type { MongoClaims } from '../../queue/mongo/claims/claim'
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

/** Decides how many workers there are, by the work that waits and by `keepAlive`. */
export class Scaling {
  readonly #parts: ScalingParts

  constructor(parts: ScalingParts) {
    this.#parts = parts
  }

  get canGrow(): boolean {
    return this.#parts.pool.slotsToFork > 0
  }

  /** Forks workers for the in-memory tasks that are due, which needs no database. */
  growForMemory(): void {
    const { memory, pool } = this.#parts
    const { freeSlots, slotsToFork } = pool
    if (slotsToFork > 0) pool.grow(memory.countDue(freeSlots + slotsToFork) - freeSlots)
  }

  /**
   * Forks workers for all tasks that are due.
   *
   * @param mayBeMore whether due tasks may be waiting that are not claimed
   * @throws if it must count these and the database is away (rejects)
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
    // If a worker is idle, all due tasks have been claimed.
    const isUnknown = mayBeMore && pool.scheduler.idleSlots === 0 && local < limit
    pool.grow(local + (isUnknown ? await queue.countDue(limit - local) : 0) - freeSlots)
  }

  /** Forks a worker if none is free: a task will be due by the time that the worker has booted. */
  growAhead(): void {
    const { pool } = this.#parts
    if (pool.freeSlots === 0) pool.grow(1)
  }

  /**
   * Closes idle workers that are no longer needed.
   *
   * @param least milliseconds for which a worker must have been idle, even if `keepAlive` is shorter
   */
  shrink(least: number): void {
    const { dueTimer, memoryTimer, options, pool } = this.#parts
    const { keepAlive } = options
    const isNeeded = keepAlive === 'always' || dueTimer.isNear || memoryTimer.isNear
    if (!isNeeded) pool.closeIdle(Math.max(keepAlive ?? 0, least))
  }
}

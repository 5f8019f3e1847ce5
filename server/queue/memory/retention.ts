/**
 * The in-memory queue keeps at most this many failed and cancelled tasks. Above it, those that ended first are dropped.
 */
const MAX_KEPT = 1000

/** How long failed and cancelled tasks are kept, in either queue: the option `keepFailed`. */
export interface Retention {
  /** Milliseconds, or null for good. */
  keepFailed: number | null
}

/** Which failed and cancelled tasks the in-memory queue keeps: a bounded number, for a bounded time. */
export class KeptTasks {
  readonly #retention: Retention
  /** When each task ended (performance.now), by `_id`; the oldest first. */
  readonly #endedAt = new Map<string, number>()

  constructor(retention: Retention) {
    this.#retention = retention
  }

  add(_id: string): void {
    this.#endedAt.set(_id, performance.now())
  }

  delete(_id: string): void {
    this.#endedAt.delete(_id)
  }

  /** Removes the tasks that are not to be kept any longer. @returns their `_id`s */
  takeSurplus(): string[] {
    const { keepFailed } = this.#retention
    const oldest = keepFailed === null ? -Infinity : performance.now() - keepFailed
    const surplus: string[] = []
    for (const [_id, endedAt] of this.#endedAt) {
      if (this.#endedAt.size <= MAX_KEPT && endedAt > oldest) break
      this.#endedAt.delete(_id)
      surplus.push(_id)
    }
    return surplus
  }
}

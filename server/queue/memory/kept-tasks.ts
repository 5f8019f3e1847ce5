/** The in-memory queue keeps at most this many ended tasks. Above it, those that ended first are dropped. */
const MAX_KEPT = 1000

/** Which ended tasks the in-memory queue keeps: a bounded number, each for a bounded time. */
export class KeptTasks {
  /** Until when each task is kept (performance.now), by `_id`; those that ended first come first. */
  readonly #until = new Map<string, number>()
  /** The earliest of these times, or earlier: the task may have been deleted since. */
  #next = Infinity

  /** @param milliseconds for how long, or null for good */
  add(_id: string, milliseconds: number | null): void {
    const until = milliseconds === null ? Infinity : performance.now() + milliseconds
    this.#until.delete(_id)
    this.#until.set(_id, until)
    this.#next = Math.min(this.#next, until)
  }

  delete(_id: string): void {
    this.#until.delete(_id)
  }

  /** Removes the tasks that are not to be kept any longer. @returns their `_id`s */
  takeSurplus(): string[] {
    const now = performance.now()
    const surplus = now < this.#next ? [] : this.takeExpired(now)
    const [oldest] = this.#until.keys()
    if (oldest === undefined || this.#until.size <= MAX_KEPT) return surplus
    this.#until.delete(oldest)
    return [...surplus, oldest]
  }

  private takeExpired(now: number): string[] {
    const expired = [...this.#until].filter(([, until]) => until <= now).map(([_id]) => _id)
    for (const _id of expired) this.#until.delete(_id)
    this.#next = Math.min(...this.#until.values())
    return expired
  }
}

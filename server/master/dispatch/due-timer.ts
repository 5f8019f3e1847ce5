/**
 * The timer fires at least this often, so that the queue is polled again. A timer stands still while the machine
 * sleeps, and does not notice when the clock is set. Node's timers reach no further than 25 days, either.
 */
const MAX_SLEEP_MS = 3_600_000

export interface DueTimerListener {
  /** The next task is due, or the longest sleep is over. `add` sets the timer again. */
  taskDue(): void
  /** A task of this app will be due by the time that a worker, forked now, has booted. */
  taskNear(): void
}

/** How long a worker takes to boot. */
export interface BootTime {
  /** Milliseconds. */
  readonly bootTime: number
}

/** Fires when the next known task is due. It is a hint: the database decides. */
export class DueTimer {
  readonly #pool: BootTime
  readonly #longestSleep: number
  #listener: DueTimerListener | undefined
  /** On performance.now. */
  #dueAt = Infinity
  #due: NodeJS.Timeout | undefined
  #near: NodeJS.Timeout | undefined
  #isOurs = false

  /** @param longestSleep milliseconds */
  constructor(pool: BootTime, longestSleep = MAX_SLEEP_MS) {
    this.#pool = pool
    this.#longestSleep = longestSleep
  }

  listen(listener: DueTimerListener): void {
    this.#listener = listener
  }

  /** Whether a task of this app will be due before another worker could have booted. */
  get isNear(): boolean {
    return this.#isOurs && this.#dueAt - performance.now() <= this.#pool.bootTime
  }

  /**
   * A task is due. The earliest counts.
   *
   * @param delay milliseconds; 0 or less: now
   * @param isOurs whether it is known to be of this app
   */
  add(delay: number, isOurs: boolean): void {
    const dueAt = performance.now() + delay
    if (dueAt >= this.#dueAt) return
    this.stop()
    this.#dueAt = dueAt
    this.#isOurs = isOurs
    const fire = () => {
      this.stop()
      this.#listener?.taskDue()
    }
    this.#due = setTimeout(fire, Math.max(0, Math.min(delay, this.#longestSleep)))
    const nearIn = delay - this.#pool.bootTime
    if (!isOurs || nearIn >= this.#longestSleep) return
    this.#near = setTimeout(() => this.#listener?.taskNear(), Math.max(0, nearIn))
  }

  stop(): void {
    clearTimeout(this.#due)
    clearTimeout(this.#near)
    this.#dueAt = Infinity
  }
}

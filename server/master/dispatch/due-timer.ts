/** A timer of Node's reaches no further; later than in an hour the ticks will have looked anew. */
const LONGEST_MS = 3_600_000

export interface DueTimerEvents {
  /** A task is due. */
  readonly due: () => void
  /** A task of this app will be due once a worker that is forked now has booted. */
  readonly near: () => void
}

/** Tells when the next task is due, as far as is known. A hint: the database decides. */
export class DueTimer {
  readonly #events: DueTimerEvents
  readonly #bootTime: () => number
  /** On performance.now. */
  #dueAt = Infinity
  #due: NodeJS.Timeout | undefined
  #near: NodeJS.Timeout | undefined
  #isOurs = false

  /** @param bootTime milliseconds that a worker takes to boot */
  constructor(events: DueTimerEvents, bootTime: () => number) {
    this.#events = events
    this.#bootTime = bootTime
  }

  /** Whether a task of this app will be due before another worker could have booted. */
  get isNear(): boolean {
    return this.#isOurs && this.#dueAt - performance.now() <= this.#bootTime()
  }

  /** A task is due in so many milliseconds. The earliest counts. @param isOurs whether it is known to be of this app */
  add(delay: number, isOurs: boolean): void {
    const dueAt = performance.now() + delay
    if (dueAt >= this.#dueAt || delay > LONGEST_MS) return
    this.stop()
    this.#dueAt = dueAt
    this.#isOurs = isOurs
    this.#due = setTimeout(() => {
      this.stop()
      this.#events.due()
    }, delay)
    if (isOurs) this.#near = setTimeout(this.#events.near, Math.max(0, delay - this.#bootTime()))
  }

  /** A task of this app is due then, unless that is past or undefined. */
  addDate(dueDate: Date | undefined): void {
    const delay = Number(dueDate) - Date.now()
    if (delay > 0) this.add(delay, true)
  }

  stop(): void {
    clearTimeout(this.#due)
    clearTimeout(this.#near)
    this.#dueAt = Infinity
  }
}

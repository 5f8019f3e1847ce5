/** A timer of Node's reaches no further; later than in an hour the ticks will have looked anew. */
const LONGEST_MS = 3_600_000

export interface DueTimerListener {
  /** A task is due. */
  taskDue(): void
  /** A task of this app will be due once a worker that is forked now has booted. */
  taskNear(): void
}

/** How long a worker takes to boot. */
export interface BootTime {
  /** Milliseconds. */
  readonly bootTime: number
}

/** Tells when the next task is due, as far as is known. A hint: the database decides. */
export class DueTimer {
  readonly #pool: BootTime
  #listener: DueTimerListener | undefined
  /** On performance.now. */
  #dueAt = Infinity
  #due: NodeJS.Timeout | undefined
  #near: NodeJS.Timeout | undefined
  #isOurs = false

  constructor(pool: BootTime) {
    this.#pool = pool
  }

  listen(listener: DueTimerListener): void {
    this.#listener = listener
  }

  /** Whether a task of this app will be due before another worker could have booted. */
  get isNear(): boolean {
    return this.#isOurs && this.#dueAt - performance.now() <= this.#pool.bootTime
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
      this.#listener?.taskDue()
    }, delay)
    if (isOurs) this.#near = setTimeout(() => this.#listener?.taskNear(), Math.max(0, delay - this.#pool.bootTime))
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

const STEP_MS = 1

/** Both clocks of this process, which stand still but for a step at each reading; until it is restored. */
export class SteppedClock {
  readonly #dateNow = Date.now.bind(Date)
  readonly #performanceNow = performance.now.bind(performance)
  readonly #startedAt = Date.now()
  #readings = 0

  constructor() {
    Date.now = () => this.#startedAt + this.elapsed()
    performance.now = () => this.elapsed()
  }

  /** In milliseconds, from now on. */
  static readings(count: number): number {
    return count * STEP_MS
  }

  restore(): void {
    Date.now = this.#dateNow
    performance.now = this.#performanceNow
  }

  private elapsed(): number {
    return this.#readings++ * STEP_MS
  }
}

/** Runs passes, one at a time. One that is requested during a pass follows it at once. */
export class PassLoop {
  readonly #pass: (isRequested: boolean) => Promise<boolean>
  #passing: Promise<void> | undefined
  #isRequested = false

  /**
   * @param pass gets whether it was requested, and must not reject. It resolves to whether a pass that was requested
   * meanwhile may follow at once. If not, that pass waits for the next call of `request` or `run`
   */
  constructor(pass: (isRequested: boolean) => Promise<boolean>) {
    this.#pass = pass
  }

  /** Whether a pass was requested since the last one began. */
  get isRequested(): boolean {
    return this.#isRequested
  }

  get isPassing(): boolean {
    return this.#passing !== undefined
  }

  /** Runs a pass now, or right after the one in progress. */
  request(): void {
    this.#isRequested = true
    this.run()
  }

  /** Runs a pass, unless one is in progress. */
  run(): void {
    this.#passing ??= this.passWhileRequested()
  }

  /** Resolves when no pass is in progress. */
  async settled(): Promise<void> {
    await this.#passing
  }

  private async passWhileRequested(): Promise<void> {
    let mayFollow: boolean
    do mayFollow = await this.passOnce()
    while (mayFollow && this.#isRequested)
    this.#passing = undefined
  }

  private passOnce(): Promise<boolean> {
    const isRequested = this.#isRequested
    // Reset before the queries of the pass, which may miss what happens from now on.
    this.#isRequested = false
    return this.#pass(isRequested)
  }
}

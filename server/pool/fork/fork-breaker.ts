/** The first pause; each further failure in a row doubles it. */
const FIRST_PAUSE_MS = 250
const MAX_PAUSE_MS = 60_000

/**
 * Prevents a fork storm by exponential backoff. After a worker that exited by itself, at boot or while idle, no other
 * is forked for a pause, and each pause is longer. An outcome of any job ends the pause and resets its length.
 */
export class ForkBreaker {
  #failures = 0
  /** Set during a pause. */
  #pause: NodeJS.Timeout | undefined

  get allowsFork(): boolean {
    return this.#pause === undefined
  }

  succeeded(): void {
    this.#failures = 0
    this.endPause()
  }

  /**
   * @param resume called when workers may be forked again
   * @returns how many have failed in a row, and the pause in milliseconds
   */
  failed(resume: () => void): { readonly failures: number; readonly pause: number } {
    this.endPause()
    // Invariant 9: a worker that cannot boot is replaced after growing pauses.
    this.#failures++
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** (this.#failures - 1), MAX_PAUSE_MS)
    // The timer alone decides, and no clock: it may fire a little early.
    this.#pause = setTimeout(() => {
      this.endPause()
      resume()
    }, pause).unref()
    return { failures: this.#failures, pause }
  }

  private endPause(): void {
    clearTimeout(this.#pause)
    this.#pause = undefined
  }
}

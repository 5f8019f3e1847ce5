/** The first pause; each further failure in a row doubles it. */
const FIRST_PAUSE_MS = 250
const LONGEST_PAUSE_MS = 60_000

/**
 * Keeps workers that end by themselves, at boot or while idle, from becoming a fork storm: after each of them none is
 * forked for a while, and for longer each time. A job that ends in a worker shows that workers work again.
 */
export class ForkBreaker {
  #failures = 0
  /** Set while none is forked. */
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
    this.#failures++
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** (this.#failures - 1), LONGEST_PAUSE_MS)
    // Not compared with a clock: a timer may fire a little early.
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

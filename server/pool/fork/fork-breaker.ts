/** The first pause; each further failure in a row doubles it. */
const FIRST_PAUSE_MS = 250
const LONGEST_PAUSE_MS = 60_000

/**
 * Keeps workers that end by themselves, at boot or while idle, from becoming a fork storm: after each of them none is
 * forked for a while, and for longer each time. A job that ends in a worker shows that workers work again.
 */
export class ForkBreaker {
  #failures = 0
  /** Monotonic milliseconds (performance.now). */
  #pausedUntil = 0

  get allowsFork(): boolean {
    return performance.now() >= this.#pausedUntil
  }

  succeeded(): void {
    this.#failures = 0
    this.#pausedUntil = 0
  }

  /** @returns how many have failed in a row, and the pause in milliseconds */
  failed(): { readonly failures: number; readonly pause: number } {
    this.#failures++
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** (this.#failures - 1), LONGEST_PAUSE_MS)
    this.#pausedUntil = performance.now() + pause
    return { failures: this.#failures, pause }
  }
}

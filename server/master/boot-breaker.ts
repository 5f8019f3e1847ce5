/** The first pause; each further failure in a row doubles it. */
const FIRST_PAUSE_MS = 250
const LONGEST_PAUSE_MS = 60_000

/**
 * Keeps workers that cannot boot from becoming a fork storm: after each one that exits before it is ready, none is forked
 * for a while, and for longer each time. One that gets ready ends it.
 */
export class BootBreaker {
  #failures = 0
  /** Monotonic milliseconds (performance.now). */
  #closedUntil = 0

  get isOpen(): boolean {
    return performance.now() >= this.#closedUntil
  }

  succeeded(): void {
    this.#failures = 0
    this.#closedUntil = 0
  }

  /** @returns how many have failed in a row, and the pause in milliseconds */
  failed(): { readonly failures: number; readonly pause: number } {
    this.#failures++
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** (this.#failures - 1), LONGEST_PAUSE_MS)
    this.#closedUntil = performance.now() + pause
    return { failures: this.#failures, pause }
  }
}

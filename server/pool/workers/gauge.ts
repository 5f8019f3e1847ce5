/** What a worker measures of itself. */
export interface Measured {
  /** Bytes of resident memory. */
  readonly rss: number
  /** From 0 to 1: how busy its event loop was since the last measurement, or since its start. */
  readonly eventLoopUtilization: number
}

/** A worker that blocks its event loop does not answer: nobody waits longer for it. */
const ANSWER_WITHIN_MS = 500

/** Asks a worker what it measures of itself. */
export class Gauge {
  readonly #ask: () => void
  #answered: ((measured: Measured | undefined) => void) | undefined
  #measuring: Promise<Measured | undefined> | undefined

  /** @param ask sends the question to the worker */
  constructor(ask: () => void) {
    this.#ask = ask
  }

  /** @returns undefined if the worker does not answer within half a second */
  measure(): Promise<Measured | undefined> {
    this.#measuring ??= new Promise<Measured | undefined>(resolve => {
      const timer = setTimeout(() => this.receive(undefined), ANSWER_WITHIN_MS)
      this.#answered = measured => {
        clearTimeout(timer)
        this.#measuring = undefined
        resolve(measured)
      }
      this.#ask()
    })
    return this.#measuring
  }

  receive(measured: Measured | undefined): void {
    this.#answered?.(measured)
    this.#answered = undefined
  }
}

/** How many events lie between two progress reports. */
const STEP = 250

/** Counts the `done` events of each task, in a buffer of fixed size, since the heap is what is measured. */
export class Account {
  readonly #times: Uint8Array
  #events = 0

  constructor(tasks: number) {
    this.#times = new Uint8Array(tasks)
  }

  get events(): number {
    return this.#events
  }

  /** @returns whether a progress report is due */
  add({ number }: { readonly number: number }): boolean {
    this.#times[number] = Math.min((this.#times[number] ?? 0) + 1, 2)
    this.#events++
    return this.#events % STEP === 0 || this.#events === this.#times.length
  }

  total(): { readonly once: number; readonly repeatedly: number } {
    let [once, repeatedly] = [0, 0]
    for (const times of this.#times) {
      if (times === 1) once++
      else if (times > 1) repeatedly++
    }
    return { once, repeatedly }
  }
}

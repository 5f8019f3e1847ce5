/**
 * @returns a function that schedules `run` for the end of this turn of the event loop; further calls in the same turn
 * are merged into it
 */
export function oncePerTurn(run: () => void): () => void {
  let isComing = false
  return () => {
    if (isComing) return
    isComing = true
    queueMicrotask(() => {
      isComing = false
      run()
    })
  }
}

/**
 * Collects the items of one turn of the event loop, to write them together: at the end of the turn, or earlier when it
 * is flushed.
 */
export class Batch<Item> {
  readonly #write: (items: readonly Item[]) => void
  readonly #flushSoon = oncePerTurn(() => {
    this.flush()
  })
  #items: Item[] = []

  /** @param write is never called without items */
  constructor(write: (items: readonly Item[]) => void) {
    this.#write = write
  }

  add(item: Item): void {
    this.#items.push(item)
    this.#flushSoon()
  }

  flush(): void {
    const items = this.#items
    this.#items = []
    if (items.length > 0) this.#write(items)
  }
}

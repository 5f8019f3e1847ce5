/**
 * @returns a function after whose calls this runs: once at the end of a turn of the event loop, however many they were
 * in it
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
 * Collects what comes up in one turn of the event loop, to write it together: at the end of the turn, or when it is
 * flushed before.
 */
export class Batch<Item> {
  readonly #write: (items: readonly Item[]) => void
  readonly #flushSoon = oncePerTurn(() => {
    this.flush()
  })
  #items: Item[] = []

  /** @param write is not called without items */
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

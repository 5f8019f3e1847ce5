/** Collects what comes up in one turn of the event loop, to write it together: at the end of the turn, or when it is flushed before. */
export class Batch<Item> {
  readonly #write: (items: readonly Item[]) => void
  #items: Item[] = []

  /** @param write is not called without items */
  constructor(write: (items: readonly Item[]) => void) {
    this.#write = write
  }

  add(item: Item): void {
    this.#items.push(item)
    if (this.#items.length === 1) queueMicrotask(() => this.flush())
  }

  flush(): void {
    const items = this.#items
    this.#items = []
    if (items.length > 0) this.#write(items)
  }
}

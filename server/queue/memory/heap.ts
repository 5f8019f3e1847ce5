/** A binary heap: `add` and `take` in O(log n), `first` in O(1). Equal items come in no particular order. */
export class Heap<Item> {
  readonly #items: Item[] = []
  readonly #compare: (a: Item, b: Item) => number

  /** @param compare negative when `a` comes before `b` */
  constructor(compare: (a: Item, b: Item) => number) {
    this.#compare = compare
  }

  get size(): number {
    return this.#items.length
  }

  first(): Item | undefined {
    return this.#items[0]
  }

  add(item: Item): void {
    this.#items.push(item)
    this.siftUp(this.#items.length - 1)
  }

  take(): Item | undefined {
    const first = this.#items[0]
    const last = this.#items.pop()
    if (last !== undefined && this.#items.length > 0) {
      this.#items[0] = last
      this.siftDown()
    }
    return first
  }

  /** Drops the items that are not accepted. */
  retain(accepts: (item: Item) => boolean): void {
    const kept = this.#items.filter(accepts)
    this.#items.length = 0
    for (const item of kept) this.add(item)
  }

  private siftUp(start: number): void {
    let index = start
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!this.swapIfBefore(index, parent)) return
      index = parent
    }
  }

  private siftDown(): void {
    let index = 0
    for (;;) {
      const left = 2 * index + 1
      if (left >= this.#items.length) return
      const child = this.isBefore(left + 1, left) ? left + 1 : left
      if (!this.swapIfBefore(child, index)) return
      index = child
    }
  }

  private isBefore(a: number, b: number): boolean {
    const itemA = this.#items[a]
    const itemB = this.#items[b]
    return itemA !== undefined && itemB !== undefined && this.#compare(itemA, itemB) < 0
  }

  private swapIfBefore(a: number, b: number): boolean {
    if (!this.isBefore(a, b)) return false
    const itemA = this.#items[a] as Item
    this.#items[a] = this.#items[b] as Item
    this.#items[b] = itemA
    return true
  }
}

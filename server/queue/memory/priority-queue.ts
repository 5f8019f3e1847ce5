import { Heap } from './heap'

/** Fewer taken items than this are not worth cutting off from the front of the list. */
const MIN_CUT = 1000

/**
 * A priority queue. Most items come in order and are appended to a list: `add` and `take` in O(1). An item that comes
 * before the last one there goes into a heap, in O(log n). Equal items come in no particular order.
 */
export class PriorityQueue<Item> {
  /** In order. Items that were taken are undefined. */
  #list: (Item | undefined)[] = []
  /** The index of the next item in the list. */
  #next = 0
  readonly #heap: Heap<Item>
  readonly #compare: (a: Item, b: Item) => number

  /** @param compare negative when `a` comes before `b` */
  constructor(compare: (a: Item, b: Item) => number) {
    this.#heap = new Heap(compare)
    this.#compare = compare
  }

  get size(): number {
    return this.#list.length - this.#next + this.#heap.size
  }

  first(): Item | undefined {
    return this.isInList ? this.#list[this.#next] : this.#heap.first()
  }

  add(item: Item): void {
    const last = this.#list.at(-1)
    if (last === undefined || this.#compare(last, item) <= 0) this.#list.push(item)
    else this.#heap.add(item)
  }

  take(): Item | undefined {
    if (!this.isInList) return this.#heap.take()
    const first = this.#list[this.#next]
    this.#list[this.#next++] = undefined
    this.cut()
    return first
  }

  /** Drops the items that are not accepted. */
  retain(accepts: (item: Item) => boolean): void {
    this.#list = this.#list.slice(this.#next).filter(item => item !== undefined && accepts(item))
    this.#next = 0
    this.#heap.retain(accepts)
  }

  /** Whether the first of all items is in the list. */
  private get isInList(): boolean {
    const inList = this.#list[this.#next]
    const inHeap = this.#heap.first()
    return inList !== undefined && (inHeap === undefined || this.#compare(inList, inHeap) <= 0)
  }

  private cut(): void {
    const isEmpty = this.#next === this.#list.length
    if (!isEmpty && this.#next < Math.max(MIN_CUT, this.#list.length / 2)) return
    this.#list = this.#list.slice(this.#next)
    this.#next = 0
  }
}

/** The same numbers for the same seed, so that a run's plan can be repeated. */
export class SeededRandom {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** From 0, below 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  between(min: number, max: number): number {
    return min + this.next() * (max - min)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<Item>(items: readonly Item[]): Item | undefined {
    return items[Math.floor(this.next() * items.length)]
  }

  shuffled<Item>(items: readonly Item[]): Item[] {
    return items
      .map(item => ({ item, rank: this.next() }))
      .sort((a, b) => a.rank - b.rank)
      .map(({ item }) => item)
  }
}

/** Draws from shuffled rounds, so that no item is left out for long. `weights`: how often each is in a round. */
export function* rounds<Item extends string>(
  weights: Readonly<Record<Item, number>>,
  random: SeededRandom,
): Generator<Item, never> {
  const round = (Object.keys(weights) as Item[]).flatMap(item => Array.from({ length: weights[item] }, () => item))
  for (;;) yield* random.shuffled(round)
}

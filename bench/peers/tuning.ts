/** Finds the setting with which a library is fastest, at what it is about to be measured with. */
export class Tuning<Setting extends object> {
  readonly #settings: readonly Setting[]
  readonly #found = new Map<string, Setting>()

  constructor(settings: readonly Setting[]) {
    this.#settings = settings
  }

  /** Measures each setting once. @param cost what is to be small */
  async best(operation: string, cost: (setting: Setting) => Promise<number>): Promise<Setting> {
    const known = this.#found.get(operation)
    if (known !== undefined) return known
    const costs: (readonly [number, Setting])[] = []
    for (const setting of this.#settings) costs.push([await cost(setting), setting])
    const [best] = costs.sort(([a], [b]) => a - b)
    if (best === undefined) throw new Error('there are no settings')
    this.#found.set(operation, best[1])
    return best[1]
  }

  /** What was chosen. */
  note(): Promise<string> {
    const chosen = [...this.#found.values()].map(setting =>
      Object.entries(setting)
        .map(([name, value]) => `${name} ${String(value)}`)
        .join(', '),
    )
    return Promise.resolve(
      chosen.length === 0 ? '' : `best of ${String(this.#settings.length)} settings: ${chosen.join('; ')}`,
    )
  }
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN
}

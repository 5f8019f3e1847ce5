import type { Drain, Drained } from '../protocol'

const DRAIN_LIMIT_MS = 2000

/** Finds the setting with which a library is fastest in the operation that is about to be measured. */
export class Tuning<Setting extends object> {
  readonly #settings: readonly Setting[]
  readonly #found = new Map<string, Setting>()

  constructor(settings: readonly Setting[]) {
    this.#settings = settings
  }

  /** Measures each setting once. @param cost is lowest for the best setting */
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

  /** The setting with which a drain of `count` tasks takes the least time per job. */
  bestForDrain(
    request: Drain,
    count: number,
    drain: (setting: Setting, small: Drain) => Promise<Drained>,
  ): Promise<Setting> {
    return this.best('drain', async setting => {
      const { jobs, ms } = await drain(setting, { ...request, count, limit: DRAIN_LIMIT_MS })
      return ms / Math.max(jobs, 1)
    })
  }

  /** Which settings were chosen. */
  note(): Promise<string> {
    const chosen = [...this.#found.values()].map(setting =>
      Object.entries(setting)
        .map(([name, value]) => `${name} ${String(value)}`)
        .join(', '),
    )
    const candidates = this.#settings.length === 1 ? '1 setting' : `${String(this.#settings.length)} settings`
    return Promise.resolve(chosen.length === 0 ? '' : `best of ${candidates}: ${chosen.join('; ')}`)
  }
}

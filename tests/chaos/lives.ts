import type { EntryOf } from './log'

/** A process, from its first entry until another one has its pid: in a long run, pids are reused. */
export interface Life {
  readonly pid: number
  readonly parent: number
  readonly from: number
  until: number
  /** The process went away between these two polls of the driver, for whatever reason; Infinity if it was not seen. */
  aliveAt: number
  goneAt: number
}

/** Every process of a run. */
export class Lives {
  readonly #lives = new Map<number, Life[]>()

  constructor(entries: readonly EntryOf<'process'>[], gone: readonly EntryOf<'gone'>[]) {
    for (const { pid, parent, at } of entries) {
      const former = this.#lives.get(pid) ?? []
      for (const life of former.slice(-1)) life.until = at
      this.#lives.set(pid, [...former, { pid, parent, from: at, until: Infinity, aliveAt: Infinity, goneAt: Infinity }])
    }
    for (const { target, aliveAt, at } of gone) {
      const life = this.at(target, at)
      if (life !== undefined) [life.aliveAt, life.goneAt] = [aliveAt, at]
    }
  }

  get all(): Life[] {
    return [...this.#lives.values()].flat()
  }

  /** The process that had this pid at this moment. */
  at(pid: number, at: number): Life | undefined {
    return this.#lives.get(pid)?.find(({ from, until }) => from <= at && at < until)
  }
}

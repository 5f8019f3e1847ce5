import { setTimeout as pause } from 'node:timers/promises'
import { burn } from '../burn'
import { now } from '../clock'
import type { Drained, JobKind } from '../protocol'

/** Counts and times what a library has run, as its jobs or its events report it. */
export class Jobs {
  #runs = 0
  #expected = Infinity
  #allRun: (() => void) | undefined
  #firstRunAt: number | undefined
  #probed: ((latency: number) => void) | undefined

  /** The function of a `noop` or `burn` job. */
  run(iterations: number): void {
    burn(iterations)
    this.ran()
  }

  /** A `noop` or `burn` job is done. */
  ran(): void {
    this.#firstRunAt ??= now()
    if (++this.#runs === this.#expected) this.#allRun?.()
  }

  /** The function of a `probe` job. */
  probe(addedAt: number): void {
    this.probed(now() - addedAt)
  }

  /** A `probe` job has started `latency` milliseconds after it was added. */
  probed(latency: number): void {
    this.#probed?.(latency)
  }

  nextLatency(): Promise<number> {
    return new Promise(resolve => {
      this.#probed = resolve
    })
  }

  /** The latency of the `probe` job that `add` adds. */
  async latencyOf(add: () => Promise<unknown>): Promise<number> {
    const latency = this.nextLatency()
    await add()
    return latency
  }

  /**
   * Starts the library, and waits until it has run `count` jobs, or for `limit` milliseconds. The time that the library
   * needs to start does not count.
   */
  async drain(count: number, limit: number, start: () => Promise<unknown>): Promise<Drained> {
    const before = this.#runs
    const all = new Promise<void>(resolve => {
      this.#allRun = resolve
      this.#expected = before + count
    })
    this.#firstRunAt = undefined
    await start()
    const startedAt = this.#firstRunAt ?? now()
    await Promise.race([all, pause(limit, undefined, { ref: false })])
    return { jobs: this.#runs - before, ms: now() - startedAt }
  }
}

export function iterationsOf(job: JobKind): number {
  return job.name === 'burn' ? job.iterations : 0
}

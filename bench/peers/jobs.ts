import { setTimeout as pause } from 'node:timers/promises'
import { burn } from '../burn'
import { now } from '../clock'
import type { Drained, JobKind } from '../protocol'

/** What the jobs of a library that runs them in its own process report. */
export class Jobs {
  #runs = 0
  #expected = Infinity
  #allRun: (() => void) | undefined
  #probed: ((latency: number) => void) | undefined

  /** The function of a `noop` or `burn` job. */
  run(iterations: number): void {
    burn(iterations)
    if (++this.#runs === this.#expected) this.#allRun?.()
  }

  /** The function of a `probe` job. */
  probe(addedAt: number): void {
    this.#probed?.(now() - addedAt)
  }

  nextLatency(): Promise<number> {
    return new Promise(resolve => {
      this.#probed = resolve
    })
  }

  /** Starts the library, and waits until it has run so many jobs, or for so long. */
  async drain(count: number, limit: number, start: () => Promise<unknown>): Promise<Drained> {
    const before = this.#runs
    const all = new Promise<void>(resolve => {
      this.#allRun = resolve
      this.#expected = before + count
    })
    const startedAt = now()
    await start()
    await Promise.race([all, pause(limit, undefined, { ref: false })])
    return { jobs: this.#runs - before, ms: now() - startedAt }
  }
}

export function iterationsOf(job: JobKind): number {
  return job.name === 'burn' ? job.iterations : 0
}

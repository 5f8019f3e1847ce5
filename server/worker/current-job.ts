import { AsyncLocalStorage } from 'node:async_hooks'

/**
 * Knows which job the code that runs now belongs to. From Node 20 on, AsyncLocalStorage makes every promise of the
 * process slower (measured: a sixth of `drain-noop`). So a worker that runs one job at a time begins to use it when a
 * job first waits for another: until then, whatever runs belongs to the only job.
 */
export class CurrentJob {
  #storage: AsyncLocalStorage<string> | undefined
  /** The tokens of running jobs that were started without the storage. */
  readonly #untracked = new Set<string>()

  /** @param slots how many jobs run at once */
  constructor(slots: number) {
    if (slots > 1) this.track()
  }

  /** From now on, the job that starts is known wherever its function goes on. */
  track(): void {
    this.#storage ??= new AsyncLocalStorage()
  }

  run<Result>(token: string, run: () => Result): Result {
    if (this.#storage !== undefined) return this.#storage.run(token, run)
    this.#untracked.add(token)
    return run()
  }

  ended(token: string): void {
    this.#untracked.delete(token)
  }

  /** Undefined outside of jobs. */
  get token(): string | undefined {
    const stored = this.#storage?.getStore()
    const [only] = this.#untracked
    return stored ?? only
  }
}

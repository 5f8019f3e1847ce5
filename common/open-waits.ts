interface OpenWait<Wait> {
  readonly token: string
  readonly wait: Wait
}

/**
 * The waits of the jobs in one worker for the ends of other tasks, on either side of the pipe. While a job waits, it
 * lends its slot: otherwise, a worker with one slot could never run the task that its own job waits for.
 */
export class OpenWaits<Wait> {
  /** By the number that names the wait on the pipe. */
  readonly #open = new Map<number, OpenWait<Wait>>()
  /** How many waits each job has, by its token. */
  readonly #ofJobs = new Map<string, number>()

  /** How many jobs wait. */
  get lentSlots(): number {
    return this.#ofJobs.size
  }

  isLent(token: string): boolean {
    return this.#ofJobs.has(token)
  }

  add(id: number, token: string, wait: Wait): void {
    this.#open.set(id, { token, wait })
    this.#ofJobs.set(token, (this.#ofJobs.get(token) ?? 0) + 1)
  }

  take(id: number): Wait | undefined {
    const open = this.#open.get(id)
    if (open === undefined) return undefined
    this.#open.delete(id)
    const left = (this.#ofJobs.get(open.token) ?? 1) - 1
    if (left === 0) this.#ofJobs.delete(open.token)
    else this.#ofJobs.set(open.token, left)
    return open.wait
  }

  /** @param token of the job; default: all jobs */
  takeAll(token?: string): Wait[] {
    if (this.#open.size === 0) return []
    const ids = [...this.#open].filter(([, open]) => token === undefined || open.token === token).map(([id]) => id)
    return ids.flatMap(id => this.take(id) ?? [])
  }
}

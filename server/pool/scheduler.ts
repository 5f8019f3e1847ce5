import { type Ahead, Prefetch } from './prefetch'
import type { Worker } from './worker'

const MEGABYTE = 1024 * 1024

export interface SchedulerOptions {
  /** How many jobs a worker runs at once. */
  readonly slots: number
  /** After how many jobs a worker is replaced, or null. */
  readonly maxJobs: number | null
  /** The resident memory, in megabytes, above which a worker is replaced, or null. */
  readonly maxMemory: number | null
}

/** Which worker gets the next job, and how many jobs are worth having at hand. */
export class Scheduler {
  readonly #workers: ReadonlySet<Worker>
  readonly #options: SchedulerOptions
  readonly #prefetch = new Prefetch()
  /** Gets no job until it has none, and then one that is to run alone. */
  #reserved: Worker | undefined

  constructor(workers: ReadonlySet<Worker>, options: SchedulerOptions) {
    this.#workers = workers
    this.#options = options
  }

  /** How many jobs would start at once if they were sent now. */
  get idleSlots(): number {
    return this.sum(worker => (worker.state === 'ready' ? this.slotsIn(worker) : 0))
  }

  /** How many more jobs the workers could run at once, those that still boot included. */
  get freeSlots(): number {
    return this.sum(worker => this.slotsIn(worker))
  }

  /** How many jobs the workers that have booted run at once. */
  get readySlots(): number {
    return this.sum(({ state }) => (state === 'ready' ? this.#options.slots : 0))
  }

  /** How many jobs should be at hand, beside those that the workers have. */
  get inHand(): number {
    return this.#prefetch.inHand(this.readySlots)
  }

  /** How many claimed tasks there may be at hand: as many as will run soon. */
  get enough(): number {
    return Math.max(this.inHand, this.readySlots)
  }

  /** Of the workers that have a free slot, the one with the fewest jobs, or undefined. */
  nextFree(): Worker | undefined {
    let [best, fewest]: [Worker | undefined, number] = [undefined, Infinity]
    for (const worker of this.#workers) {
      const isBetter = worker.state === 'ready' && worker.load < fewest && this.slotsIn(worker) > 0
      if (isBetter) [best, fewest] = [worker, worker.load]
    }
    return best
  }

  /** The workers that have less than half of the jobs that they should have at hand: they get the rest together. */
  hungry(): { readonly worker: Worker; readonly ahead: Ahead }[] {
    const { maxMemory, slots } = this.#options
    // One that is to be replaced after a job tells so only when that has ended.
    if (maxMemory !== null) return []
    const hungry = []
    for (const worker of this.#workers) {
      if (worker.state !== 'ready' || !this.isOpen(worker)) continue
      const ahead = this.#prefetch.aheadIfLow(worker, slots, this.jobsLeft(worker))
      if (ahead !== undefined) hungry.push({ worker, ahead })
    }
    return hungry
  }

  /** A worker for a job that is to run alone, or undefined: then one is kept free of others. */
  nextAlone(): Worker | undefined {
    const [least] = [...this.#workers].filter(worker => worker.state === 'ready').sort((a, b) => a.load - b.load)
    const isFree = least?.isIdle === true
    this.#reserved = isFree ? undefined : (this.#reserved ?? least)
    return isFree ? least : undefined
  }

  /** No job is to run alone any more: what was kept free for one is not needed. */
  releaseReserved(): void {
    this.#reserved = undefined
  }

  /** Whether jobs may be sent to a worker, now or once it has booted. */
  isOpen(worker: Worker): boolean {
    const isKept = worker === this.#reserved || worker.isReserved
    const { state } = worker
    return (state === 'booting' || state === 'ready') && !isKept && !this.isWornOut(worker)
  }

  /** Whether a worker is to be replaced once its jobs have ended. */
  isWornOut({ ended, rss }: Worker): boolean {
    const { maxJobs, maxMemory } = this.#options
    return ended >= (maxJobs ?? Infinity) || rss > (maxMemory ?? Infinity) * MEGABYTE
  }

  /** @param duration milliseconds that a job of this type took */
  jobEnded(taskType: string, duration: number): void {
    this.#prefetch.record(taskType, duration)
  }

  /** Jobs of about this size are buffered. @param bytes of BSON */
  recordSize(bytes: number): void {
    this.#prefetch.recordSize(bytes)
  }

  /** No worker has had room for another job for so many milliseconds. */
  slowedDown(milliseconds: number): void {
    this.#prefetch.recordWait(milliseconds)
  }

  forget(worker: Worker): void {
    if (this.#reserved === worker) this.#reserved = undefined
  }

  /** How many more jobs it could run at once: what cannot be used is no room. */
  private slotsIn(worker: Worker): number {
    return this.isOpen(worker) ? Math.max(0, Math.min(this.#options.slots, this.jobsLeft(worker)) - worker.load) : 0
  }

  private jobsLeft({ ended }: Worker): number {
    return (this.#options.maxJobs ?? Infinity) - ended
  }

  private sum(count: (worker: Worker) => number): number {
    let total = 0
    for (const worker of this.#workers) total += count(worker)
    return total
  }
}

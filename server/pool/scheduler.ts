import { MEGABYTE } from '../machine'
import { type Ahead, Prefetch } from './prefetch'
import type { Worker } from './workers/worker'

export interface SchedulerOptions {
  /** How many jobs a worker runs at once. */
  readonly slots: number
  /** A worker is recycled after this many jobs; null: never. */
  readonly maxJobs: number | null
  /** A worker is recycled above this many megabytes of resident memory; null: never. */
  readonly maxMemory: number | null
}

/** How long a worker is reserved for a job that is to run alone, at first and at most. */
const FIRST_PATIENCE_MS = 3000
const MAX_PATIENCE_MS = 20_000

/** Decides which worker gets the next job, and says how many claims to buffer. */
export class Scheduler {
  readonly #workers: ReadonlySet<Worker>
  readonly #options: SchedulerOptions
  readonly #prefetch = new Prefetch()
  /** The worker that gets no further jobs until it is idle, and then one that is to run alone. */
  #reserved: Worker | undefined
  /** Since when, or until when no worker is reserved (performance.now). */
  #reservedAt = -Infinity
  #reserveNext = -Infinity
  /** Milliseconds. */
  #patience = FIRST_PATIENCE_MS

  constructor(workers: ReadonlySet<Worker>, options: SchedulerOptions) {
    this.#workers = workers
    this.#options = options
  }

  /** How many jobs would start immediately if they were sent now. */
  get idleSlots(): number {
    return this.sum(worker => (worker.state === 'ready' ? this.slotsIn(worker) : 0))
  }

  /** How many more jobs the workers could run at once, those included that are still booting. */
  get freeSlots(): number {
    return this.sum(worker => this.slotsIn(worker))
  }

  /** How many jobs the ready workers run at once. */
  get readySlots(): number {
    return this.sum(({ state }) => (state === 'ready' ? this.#options.slots : 0))
  }

  /** How many claims the master should buffer, beside the jobs that the workers have. */
  get bufferTarget(): number {
    return this.#prefetch.bufferTarget(this.readySlots)
  }

  /** How many buffered claims are enough: as many as will run soon. */
  get bufferLimit(): number {
    return Math.max(this.bufferTarget, this.readySlots)
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

  /** The workers that have less than half of the jobs that they should have. Each gets the rest in one message. */
  workersToRefill(): { readonly worker: Worker; readonly ahead: Ahead }[] {
    const { maxMemory, slots } = this.#options
    // With a memory limit, only the end of a job shows whether its worker is to be recycled: nothing is prefetched.
    if (maxMemory !== null) return []
    const workersToRefill = []
    for (const worker of this.#workers) {
      if (worker.state !== 'ready' || !this.isOpen(worker)) continue
      const ahead = this.#prefetch.aheadIfLow(worker, slots, this.jobsLeft(worker))
      if (ahead !== undefined) workersToRefill.push({ worker, ahead })
    }
    return workersToRefill
  }

  /**
   * A worker for a job that is to run alone. When none is idle, returns undefined, and reserves one. If a long job
   * keeps that busy, all may have it for as long as it was reserved; then it is reserved for twice as long.
   */
  nextAlone(): Worker | undefined {
    const [least] = [...this.#workers].filter(worker => worker.state === 'ready').sort((a, b) => a.load - b.load)
    if (least?.load === 0) {
      this.releaseReserved()
      return least
    }
    const now = performance.now()
    if (this.#reserved !== undefined && now - this.#reservedAt > this.#patience) {
      this.#reserved = undefined
      this.#reserveNext = now + this.#patience
      this.#patience = Math.min(2 * this.#patience, MAX_PATIENCE_MS)
    } else if (this.#reserved === undefined && now >= this.#reserveNext) {
      this.#reserved = least
      this.#reservedAt = now
    }
    return undefined
  }

  /** No job is to run alone, or it has its worker: none need be reserved. */
  releaseReserved(): void {
    this.#reserved = undefined
    this.#reserveNext = -Infinity
    this.#patience = FIRST_PATIENCE_MS
  }

  /** Whether jobs may be sent to a worker, now or once it has booted. */
  isOpen(worker: Worker): boolean {
    const isKept = worker === this.#reserved || worker.runsAlone
    const { state } = worker
    return (state === 'booting' || state === 'ready') && !isKept && !this.isWornOut(worker)
  }

  /**
   * Whether a worker is to be recycled once it has no jobs. While a job in it waits for another task, it is not: no
   * other worker may be left for that task.
   */
  isWornOut({ jobsDone, lentSlots, rss }: Worker): boolean {
    const { maxJobs, maxMemory } = this.#options
    return lentSlots === 0 && (jobsDone >= (maxJobs ?? Infinity) || rss > (maxMemory ?? Infinity) * MEGABYTE)
  }

  /** @param duration milliseconds that a job of this type took */
  jobEnded(taskType: string, duration: number): void {
    this.#prefetch.record(taskType, duration)
  }

  /** The size of a task that is buffered. @param bytes of BSON */
  recordSize(bytes: number): void {
    this.#prefetch.recordSize(bytes)
  }

  /** No worker has had room for another job for this many milliseconds. */
  slowedDown(milliseconds: number): void {
    this.#prefetch.recordWait(milliseconds)
  }

  forget(worker: Worker): void {
    if (this.#reserved === worker) this.#reserved = undefined
  }

  /** How many more jobs the worker could run at once. Slots that it cannot use before it is recycled do not count. */
  private slotsIn(worker: Worker): number {
    return this.isOpen(worker) ? Math.max(0, Math.min(this.#options.slots, this.jobsLeft(worker)) - worker.load) : 0
  }

  private jobsLeft({ jobsDone, lentSlots }: Worker): number {
    return Math.max((this.#options.maxJobs ?? Infinity) - jobsDone, lentSlots)
  }

  private sum(count: (worker: Worker) => number): number {
    let total = 0
    for (const worker of this.#workers) total += count(worker)
    return total
  }
}

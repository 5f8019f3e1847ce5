import type { Claim } from '../queue/claim'
import {
  BUFFER_MAX_BYTES,
  BUFFER_MAX_CLAIMS,
  BUFFER_MS,
  MEAN_WEIGHT,
  PREFETCH_MAX_BYTES,
  PREFETCH_MAX_JOBS,
  PREFETCH_MS,
} from '../tuning'

/** A job that a worker has. */
export interface JobInFront {
  readonly claim: Claim
  /** Milliseconds since it started; 0 until then. */
  readonly runningFor: number
}

/** A worker, and the jobs that it has. */
export interface Loaded {
  readonly load: number
  readonly jobs: readonly JobInFront[]
}

/** How much work a worker has, compared with how much it should have. */
export class Ahead {
  readonly #maxWorkMs: number
  readonly #maxJobs: number
  readonly #durationOf: (taskType: string) => number
  #work = 0
  #jobs = 0

  /**
   * @param maxWorkMs milliseconds
   * @param durationOf mean milliseconds of a task type; Infinity for one that never ran
   */
  constructor(maxWorkMs: number, maxJobs: number, durationOf: (taskType: string) => number) {
    this.#maxWorkMs = maxWorkMs
    this.#maxJobs = maxJobs
    this.#durationOf = durationOf
  }

  /** Whether it has less than half of the work that it should have. */
  get isLow(): boolean {
    return this.#work < this.#maxWorkMs / 2
  }

  get isFull(): boolean {
    return this.#work >= this.#maxWorkMs || this.#jobs >= this.#maxJobs
  }

  add({ claim, runningFor }: JobInFront): void {
    this.#work += Math.max(runningFor, this.#durationOf(claim.task.taskType))
    this.#jobs++
  }
}

/**
 * Says how many jobs to prefetch and to buffer, by how long jobs take and how large they are. Without prefetching,
 * short jobs would wait for messages and for the database. Long jobs are better left to whoever is free first.
 */
export class Prefetch {
  /** Mean milliseconds, by task type. */
  readonly #byType = new Map<string, number>()
  /** Mean milliseconds of all jobs. Infinity until the first is recorded: nothing is buffered before. */
  #mean = Infinity
  #bytes = 0

  /** A longer job raises the mean at once, a shorter one lowers it gradually. @param duration milliseconds */
  record(taskType: string, duration: number): void {
    this.#byType.set(taskType, meanWith(duration, this.#byType.get(taskType) ?? Infinity))
    this.#mean = meanWith(duration, this.#mean)
  }

  /** No worker has had room for another job for this many milliseconds. */
  recordWait(milliseconds: number): void {
    this.#mean = meanWith(milliseconds, this.#mean)
  }

  /** A larger task raises the mean at once, a smaller one lowers it gradually. */
  recordSize(bytes: number): void {
    this.#bytes = meanWith(bytes, this.#bytes)
  }

  /**
   * The work that a worker has, if it is less than half of what it should have; else undefined. Hysteresis: a worker is
   * refilled only then, so that jobs travel in few messages.
   *
   * @param slots how many jobs it runs at once
   * @param maxJobs the most jobs that it may have
   */
  aheadIfLow({ jobs, load }: Loaded, slots: number, maxJobs = Infinity): Ahead | undefined {
    const most = Math.min(maxJobs, slots + PREFETCH_MAX_JOBS, slots + this.fitting(PREFETCH_MAX_BYTES))
    // A cheap check before the loop over all jobs, since this is asked whenever a job is over.
    if (load >= most / 2) return undefined
    const ahead = new Ahead(PREFETCH_MS * slots, most, taskType => this.#byType.get(taskType) ?? Infinity)
    for (const job of jobs) ahead.add(job)
    return ahead.isLow ? ahead : undefined
  }

  /**
   * How many claims the master should buffer, beside the jobs that workers have.
   *
   * @param slots how many jobs all workers run at once
   */
  bufferTarget(slots: number): number {
    const lasting = slots === 0 ? 0 : Math.floor((BUFFER_MS * slots) / this.#mean)
    return Math.min(lasting, BUFFER_MAX_CLAIMS, this.fitting(BUFFER_MAX_BYTES))
  }

  private fitting(bytes: number): number {
    return Math.floor(bytes / Math.max(1, this.#bytes))
  }
}

function meanWith(value: number, mean: number): number {
  return mean === Infinity ? value : Math.max(value, mean + MEAN_WEIGHT * (value - mean))
}

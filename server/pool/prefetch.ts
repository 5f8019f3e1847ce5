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

/** The jobs that a worker has, and how much more it should have at hand. */
export class Ahead {
  readonly #mostWork: number
  readonly #mostJobs: number
  readonly #durationOf: (taskType: string) => number
  #work = 0
  #jobs = 0

  /**
   * @param mostWork milliseconds
   * @param durationOf the mean of a task type; one that never ran may take for ever
   */
  constructor(mostWork: number, mostJobs: number, durationOf: (taskType: string) => number) {
    this.#mostWork = mostWork
    this.#mostJobs = mostJobs
    this.#durationOf = durationOf
  }

  /** Whether it has less than half of the work that it should have. */
  get isLow(): boolean {
    return this.#work < this.#mostWork / 2
  }

  get isFull(): boolean {
    return this.#work >= this.#mostWork || this.#jobs >= this.#mostJobs
  }

  add({ claim, runningFor }: JobInFront): void {
    this.#work += Math.max(runningFor, this.#durationOf(claim.task.taskType))
    this.#jobs++
  }
}

/**
 * How long jobs take and how large they are, and so how many are worth having at hand before a worker is free for them.
 * Short jobs would else wait for messages and for the database; long ones are better left to whoever is free first.
 */
export class Prefetch {
  /** Mean milliseconds, by task type. */
  readonly #byType = new Map<string, number>()
  /** Mean milliseconds of all jobs. As long as nothing is known, nothing is worth it. */
  #mean = Infinity
  #bytes = 0

  /** A longer job counts at once, a shorter one bit by bit. @param duration milliseconds */
  record(taskType: string, duration: number): void {
    this.#byType.set(taskType, meanWith(duration, this.#byType.get(taskType) ?? Infinity))
    this.#mean = meanWith(duration, this.#mean)
  }

  /** No worker has had room for another job for so many milliseconds. */
  recordWait(milliseconds: number): void {
    this.#mean = meanWith(milliseconds, this.#mean)
  }

  /** A larger task counts at once, a smaller one bit by bit. */
  recordSize(bytes: number): void {
    this.#bytes = meanWith(bytes, this.#bytes)
  }

  /**
   * What a worker has at hand, if that is less than half of what it should have.
   *
   * @param slots how many jobs it runs at once
   * @param mostJobs how many it may have in any case
   */
  aheadIfLow({ jobs, load }: Loaded, slots: number, mostJobs = Infinity): Ahead | undefined {
    const most = Math.min(mostJobs, slots + PREFETCH_MAX_JOBS, slots + this.fitting(PREFETCH_MAX_BYTES))
    // Before all of its jobs are looked at: this is asked whenever one has ended.
    if (load >= most / 2) return undefined
    const ahead = new Ahead(PREFETCH_MS * slots, most, taskType => this.#byType.get(taskType) ?? Infinity)
    for (const job of jobs) ahead.add(job)
    return ahead.isLow ? ahead : undefined
  }

  /** How many jobs more than the workers have this master should hold. @param slots how many all of them run at once */
  inHand(slots: number): number {
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

import type { Claim } from '../queue/claim'
import { Prefetch } from './prefetch'
import type { Worker } from './worker'

/**
 * How often it is looked whether a worker that has jobs to start is heard of. One that is not, for longer than usual,
 * is busy with a long one.
 */
const CHECK_EVERY_MS = 50

/** A job that is sent ahead is not started later than this. */
const STARTED_WITHIN_MS = 1000

/** From a worker that was silent at so many checks in a row it is taken back: it can have started no job since long. */
const CHECKS_UNTIL_TAKEN_BACK = 60

const MEGABYTE = 1024 * 1024

export interface SchedulerOptions {
  /** How many jobs a worker runs at once. */
  readonly slots: number
  /** After how many jobs a worker is replaced, or null. */
  readonly maxJobs: number | null
  /** The resident memory, in megabytes, above which a worker is replaced, or null. */
  readonly maxMemory: number | null
}

/** Which worker gets the next job. */
export class Scheduler {
  readonly #workers: ReadonlySet<Worker>
  readonly #options: SchedulerOptions
  readonly #prefetch = new Prefetch()
  /** Gets no job until it has none, and then one that is to run alone. */
  #reserved: Worker | undefined
  #isChecking = false
  readonly #filling = new Set<Worker>()
  /** What was sent ahead has been called back from these; they get no more of it until a job of theirs has ended. */
  readonly #slow = new Set<Worker>()
  /** How often in a row a worker was silent that has jobs to start. */
  readonly #silence = new Map<Worker, number>()

  constructor(workers: ReadonlySet<Worker>, options: SchedulerOptions) {
    this.#workers = workers
    this.#options = options
  }

  /** How many jobs could be sent now. @param left how many there are to send; it matters where jobs are long */
  room(left: number): number {
    const isPlenty = left >= this.readySlots
    return this.sum(worker => this.roomIn(worker, isPlenty))
  }

  /** How many jobs would start at once if they were sent now. */
  get idleSlots(): number {
    return this.sum(worker => Math.max(0, Math.min(this.roomIn(worker, false), this.#options.slots - worker.load)))
  }

  /** Whether jobs are so long that it matters which worker has the next one. */
  get areJobsLong(): boolean {
    return this.#prefetch.areLong(this.#options.slots)
  }

  /** How many jobs should be at hand, beside those that the workers have. */
  get inHand(): number {
    return this.#prefetch.inHand(this.readySlots)
  }

  /** How many claimed tasks there may be at hand: as many as will run soon. */
  get enough(): number {
    return Math.max(this.inHand, this.readySlots)
  }

  /** How many more jobs the workers could run at once, those that still boot included. */
  get freeSlots(): number {
    return this.sum(({ state, load }) =>
      state === 'booting' || state === 'ready' ? Math.max(0, this.#options.slots - load) : 0,
    )
  }

  /** Whether a worker is to be replaced once its jobs have ended. */
  isWornOut({ ended, rss }: Worker): boolean {
    const { maxJobs, maxMemory } = this.#options
    return ended >= (maxJobs ?? Infinity) || rss > (maxMemory ?? Infinity) * MEGABYTE
  }

  /** A job has ended in this worker. @param duration milliseconds */
  jobEnded(worker: Worker, duration: number): void {
    this.#slow.delete(worker)
    this.#prefetch.record(duration)
  }

  /** Jobs of about this size are buffered. @param bytes of BSON */
  recordSize(bytes: number): void {
    this.#prefetch.recordSize(bytes)
  }

  /** No worker has had room for another job for so many milliseconds. */
  slowedDown(milliseconds: number): void {
    this.#prefetch.record(milliseconds)
  }

  /** Whether such a job waits in a worker for another to end. */
  waitsAhead(isSuch: (claim: Claim) => boolean): boolean {
    return [...this.#workers].some(worker => worker.waitingAhead.some(({ claim }) => isSuch(claim)))
  }

  /**
   * Calls back jobs that wait in a worker for another to end, though they should be started elsewhere, or after others.
   *
   * @param isMisplaced whether this one should not wait there
   * @param limit how many at most
   */
  callBack(isMisplaced: (claim: Claim) => boolean, limit: number): void {
    let left = limit
    for (const worker of this.#workers) {
      if (this.#slow.has(worker)) continue
      for (const { claim } of worker.waitingAhead) {
        if (left <= 0 || !isMisplaced(claim)) continue
        this.#slow.add(worker)
        worker.recall(claim.token)
        left--
      }
    }
  }

  /** Of those that have room, the worker with the fewest jobs, or undefined. */
  next(): Worker | undefined {
    let [best, fewest]: [Worker | undefined, number] = [undefined, Infinity]
    for (const worker of this.#workers) {
      if (worker.load < fewest && this.roomIn(worker, true) > 0) [best, fewest] = [worker, worker.load]
    }
    return best
  }

  /** A worker for a job that is to run alone, or undefined: then one is kept free of others. */
  nextAlone(): Worker | undefined {
    const [least] = [...this.#workers].filter(isReady).sort((a, b) => a.load - b.load)
    const isFree = least?.isIdle === true
    this.#reserved = isFree ? undefined : (this.#reserved ?? least)
    return isFree ? least : undefined
  }

  /** No job is to run alone any more: what was kept free for one is not needed. */
  releaseReserved(): void {
    this.#reserved = undefined
  }

  /**
   * Milliseconds within which a job that is sent to this worker now must start; undefined where it can start at once.
   */
  deadlineIn(worker: Worker): number | undefined {
    if (worker.load < this.#options.slots) return undefined
    if (!this.#isChecking) this.checkLater()
    return STARTED_WITHIN_MS
  }

  forget(worker: Worker): void {
    for (const workers of [this.#silence, this.#slow, this.#filling]) workers.delete(worker)
    if (this.#reserved === worker) this.#reserved = undefined
  }

  /** A worker that has half of what it should have at hand gets the other half in one message; until then, none. */
  private roomIn(worker: Worker, isPlenty: boolean): number {
    if (!isReady(worker) || worker === this.#reserved || worker.isReserved || this.isWornOut(worker)) return 0
    const { slots, maxJobs, maxMemory } = this.#options
    // A worker that is to be replaced after a job tells so only when that has ended.
    const ahead = this.#slow.has(worker) ? 0 : this.#prefetch.ahead(slots, isPlenty && maxMemory === null)
    const room = Math.min(slots + ahead, (maxJobs ?? Infinity) - worker.ended) - worker.load
    if (room <= 0) this.#filling.delete(worker)
    else if (worker.load <= slots + ahead / 2) this.#filling.add(worker)
    return this.#filling.has(worker) ? room : 0
  }

  private checkLater(): void {
    this.#isChecking = true
    setTimeout(() => {
      this.check()
    }, CHECK_EVERY_MS)
  }

  /**
   * Calls back what was sent ahead to a worker that does not come to it. One whose event loop is blocked does not hear
   * that, but has to let it be after its deadline. Checks are counted, not milliseconds: after each, what had come
   * through the pipe is read, also when this process itself was blocked.
   */
  private check(): void {
    this.#isChecking = false
    for (const worker of this.#workers) {
      if (worker.waiting.length === 0) this.#silence.delete(worker)
      else this.checkWaiting(worker)
    }
    if (this.#silence.size > 0) this.checkLater()
  }

  private checkWaiting(worker: Worker): void {
    const checks = worker.isSilent ? (this.#silence.get(worker) ?? 0) + 1 : 0
    this.#silence.set(worker, checks)
    worker.listen()
    if (checks >= Math.max(1, this.#prefetch.patience / CHECK_EVERY_MS) && !this.#slow.has(worker)) {
      this.#slow.add(worker)
      worker.recallWaiting()
    }
    if (checks >= CHECKS_UNTIL_TAKEN_BACK) worker.takeBackOverdue()
  }

  /** How many jobs the workers that have booted run at once. */
  get readySlots(): number {
    return this.sum(worker => (worker.state === 'ready' ? this.#options.slots : 0))
  }

  private sum(count: (worker: Worker) => number): number {
    let total = 0
    for (const worker of this.#workers) total += count(worker)
    return total
  }
}

function isReady(worker: Worker): boolean {
  return worker.state === 'ready'
}

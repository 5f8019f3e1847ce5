import inspector from 'node:inspector'
import { serialize } from 'node:v8'
import { MEGABYTE } from '../machine'
import type { SentJob } from './workers/job'
import type { Worker } from './workers/worker'

const CHECK_EVERY_MS = 250

/** Added to the time within which a job must start: by then, all that its worker had sent before has been read. */
const MARGIN_MS = 1000

/** Added for each megabyte of a job's data, which its worker has to read first. */
const PER_MEGABYTE_MS = 1000

/** What to do about a worker that is late. */
export interface LateStarts {
  /** This worker runs no job, and does not start what it was sent. Called once for each worker. */
  hangs(worker: Worker): void
}

/**
 * Ensures that every job that is sent starts, or is taken back, within a bound. It counts checks instead of reading a
 * clock. So it counts nothing while this process is blocked or suspended, and the pipes are read after each check.
 */
export class StartWatch {
  readonly #workers: ReadonlySet<Worker>
  readonly #startTimeout: number
  readonly #late: LateStarts
  readonly #hanging = new WeakSet<Worker>()
  /** For the next check. */
  #timer: NodeJS.Timeout | undefined

  /** @param startTimeout milliseconds that a worker which runs nothing may take to start a job */
  constructor(workers: ReadonlySet<Worker>, startTimeout: number, late: LateStarts) {
    this.#workers = workers
    this.#startTimeout = startTimeout
    this.#late = late
  }

  /** A job was sent. */
  begin(): void {
    if (this.#timer !== undefined) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.check()
    }, CHECK_EVERY_MS).unref()
  }

  private check(): void {
    const waited = [...this.#workers].filter(({ unstarted }) => unstarted.length > 0)
    if (waited.length > 0) this.begin()
    // With an inspector in use, somebody may have stopped a worker at a breakpoint.
    if (inspector.url() === undefined) for (const worker of waited) this.checkWorker(worker)
  }

  private checkWorker(worker: Worker): void {
    const { isBusy, unstarted } = worker
    for (const job of unstarted) job.addListeningTime(CHECK_EVERY_MS)
    if (isBusy) for (const job of unstarted) takeBackIfLate(worker, job)
    else if (!this.#hanging.has(worker) && unstarted.some(job => isOverdue(job, this.#startTimeout))) {
      this.#hanging.add(worker)
      this.#late.hangs(worker)
    }
  }
}

/**
 * Recalls a job that is late: a worker that is not blocked hears of it, and returns the job. If none comes back, the
 * worker is blocked, and will refuse the job: the master takes it back.
 */
function takeBackIfLate(worker: Worker, job: SentJob): void {
  const { startsWithin, silentMs } = job
  const isNew = silentMs >= startsWithin && silentMs < startsWithin + CHECK_EVERY_MS
  if (isNew) worker.recall(job.claim.token)
  else if (isOverdue(job, startsWithin)) worker.takeBack(job)
}

/** Whether nothing can be on its way any more about a job that was to start within `bound`. */
function isOverdue(job: SentJob, bound: number): boolean {
  return job.silentMs >= bound && job.silentMs >= bound + allowanceOf(job)
}

function allowanceOf({ claim }: SentJob): number {
  return MARGIN_MS + (serialize(claim.task.data).length / MEGABYTE) * PER_MEGABYTE_MS
}

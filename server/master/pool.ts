import type { ChildProcess } from 'node:child_process'
import { messageOf } from '../../common/errors'
import type { Claim } from '../queue/claim'
import { ForkBreaker } from './fork-breaker'
import { freePort } from './free-port'
import type { PoolEvents, PoolOptions } from './pool-options'
import type { Limits, SentJob } from './sent-job'
import { type End, describeExit } from './worker-events'
import { WorkerHandle } from './worker-handle'

const MEGABYTE = 1024 * 1024

/** The workers: forks them, knows which are free, and closes them. */
export class Pool {
  readonly #options: PoolOptions
  readonly #events: PoolEvents
  readonly #workers = new Set<WorkerHandle>()
  readonly #breaker = new ForkBreaker()
  /** Workers that are to be forked: one after the other, since each looks for a free port. */
  #pending = 0
  #isForking = false
  /** While it closes, and when it is closed: what running jobs are told. */
  #closing: Error | undefined
  #abortTimer: NodeJS.Timeout | undefined
  /** Called when the last worker is gone. */
  readonly #whenEmpty = new Set<() => void>()

  constructor(options: PoolOptions, events: PoolEvents) {
    this.#options = options
    this.#events = events
  }

  /** How many more jobs could run without another fork: on idle workers and on those that are still to come. */
  get freeSlots(): number {
    return this.#pending + this.inState('booting').length + this.inState('idle').length
  }

  /** How many more workers may be forked. */
  get room(): number {
    return this.#options.size - this.#pending - this.#workers.size
  }

  get hasIdle(): boolean {
    return this.inState('idle').length > 0
  }

  /**
   * Sends a job to an idle worker.
   *
   * @returns false when there is none
   * @throws when the job holds what cannot be sent; the worker stays idle
   */
  run(claim: Claim, limits: Limits): boolean {
    const [worker] = this.inState('idle')
    worker?.run(claim, limits, this.#options.abortGrace)
    return worker !== undefined
  }

  /** Tells the job of this claim to end, if it is still running. */
  abort({ token }: Claim, reason: Error): void {
    for (const worker of this.#workers) {
      if (worker.claim?.token === token) worker.abort(reason, this.#options.abortGrace)
    }
  }

  /** The claim with this token, if its job is running. */
  claimWith(token: string): Claim | undefined {
    return [...this.#workers].map(worker => worker.claim).find(claim => claim?.token === token)
  }

  /** Forks this many workers, as far as there is room, unless the last ones could not boot. */
  grow(count: number): void {
    if (this.#closing !== undefined || !this.#breaker.allowsFork) return
    this.#pending += Math.max(0, Math.min(count, this.room))
    if (!this.#isForking) void this.forkPending()
  }

  /** Closes the workers that have had no job for this many milliseconds. */
  closeIdle(milliseconds: number): void {
    for (const worker of this.inState('idle')) {
      if (worker.idleFor() >= milliseconds) worker.close()
    }
  }

  open(): void {
    this.#closing = undefined
  }

  /**
   * Closes all workers. Jobs that are running may go on for a while; then they are told to end, and those that do not are
   * killed. A second call counts from when it is made.
   *
   * @param timeout milliseconds for which jobs may go on
   * @param grace milliseconds that they have to end then; 0: their workers are killed at once
   */
  async close(timeout: number, grace: number, reason: Error): Promise<void> {
    this.#closing = reason
    this.#pending = 0
    for (const worker of this.#workers) {
      if (worker.state === 'busy') continue
      worker.close()
      if (grace === 0) worker.kill()
    }
    clearTimeout(this.#abortTimer)
    this.#abortTimer = setTimeout(() => {
      for (const worker of this.#workers) worker.abort(reason, grace)
    }, timeout)
    if (this.#workers.size > 0) await new Promise<void>(resolve => this.#whenEmpty.add(resolve))
    clearTimeout(this.#abortTimer)
  }

  private async forkPending(): Promise<void> {
    this.#isForking = true
    while (this.#pending > 0) await this.forkOne()
    this.#isForking = false
  }

  private async forkOne(): Promise<void> {
    try {
      const port = await freePort(this.#options.port, this.portsInUse())
      // Another worker may have failed meanwhile, which calls off those that are pending.
      if (this.#pending === 0) return
      this.#pending--
      this.add(this.#options.fork(port), port)
    } catch (error) {
      this.forkFailed(messageOf(error))
    }
  }

  private add(child: ChildProcess, port: number): void {
    const { changed, outcome, expired, question, nudged, cancelled } = this.#events
    const worker: WorkerHandle = new WorkerHandle(child, port, {
      ready: changed,
      outcome: (claim, result, aborted) => {
        this.#breaker.succeeded()
        outcome(claim, result, aborted)
        if (this.#closing !== undefined || this.isWornOut(worker)) worker.close()
        changed()
      },
      expired: claim => {
        expired(claim)
        if (this.#closing !== undefined) worker.close()
        changed()
      },
      question,
      nudged,
      cancelled,
      gone: end => {
        this.#workers.delete(worker)
        this.workerGone(worker, end)
        if (this.#workers.size === 0) this.tellEmpty()
        changed()
      },
    })
    this.#workers.add(worker)
  }

  private isWornOut({ jobs, rss }: WorkerHandle): boolean {
    const { maxJobs, maxMemory } = this.#options
    return jobs >= (maxJobs ?? Infinity) || rss > (maxMemory ?? Infinity) * MEGABYTE
  }

  private workerGone({ port, jobs }: WorkerHandle, { exit, lastWords, job, state }: End): void {
    const how = describeExit(exit)
    // Told to end one way or the other: also one that was signalled together with its master.
    const asked = job?.aborted ?? this.#closing
    if (job?.hasStarted) this.#events.died(job.claim, { how, lastWords }, asked)
    else if (job !== undefined) this.#events.notStarted(job.claim)
    // One that has ended a job has shown that workers work: then it is the next job's fault.
    if (asked !== undefined || state === 'closing' || (job?.hasStarted && jobs > 0)) return
    const moment = state === 'booting' ? 'before it was ready' : momentIn(job)
    this.forkFailed(`a worker on port ${String(port)} ended ${moment} (${how})`)
  }

  private tellEmpty(): void {
    for (const resolve of this.#whenEmpty) resolve()
    this.#whenEmpty.clear()
  }

  /** Workers that end by themselves, again and again, must not become a fork storm. */
  private forkFailed(reason: string): void {
    this.#pending = 0
    const { failures, pause } = this.#breaker.failed()
    setTimeout(() => {
      this.#events.changed()
    }, pause).unref()
    this.#options.log.error(
      `${reason}; ${String(failures)} in a row, no other is forked for ${String(pause)} ms. ` +
        'What it wrote before it ended stands above.',
    )
  }

  private inState(state: WorkerHandle['state']): WorkerHandle[] {
    return [...this.#workers].filter(worker => worker.state === state)
  }

  private portsInUse(): Set<number> {
    return new Set([...this.#workers].map(worker => worker.port))
  }
}

function momentIn(job: SentJob | undefined): string {
  if (job === undefined) return 'without a job in it'
  return job.hasStarted ? 'in its first job' : 'before it had started its job'
}

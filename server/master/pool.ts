import type { ChildProcess } from 'node:child_process'
import { messageOf } from '../../common/errors'
import type { Claim } from '../queue/claim'
import { ForkBreaker } from './fork-breaker'
import { freePort } from './free-port'
import type { PoolEvents, PoolOptions } from './pool-options'
import type { Limits } from './sent-job'
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
  #isOpen = true
  /** Called whenever a job or a worker has ended. */
  #watcher: () => void = () => undefined

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

  /** The claim of the job that runs the task with this `_id`, if one does. */
  claimOf(_id: string): Claim | undefined {
    return [...this.#workers].map(worker => worker.claim).find(claim => claim?.task._id === _id)
  }

  /** Forks this many workers, as far as there is room, unless the last ones could not boot. */
  grow(count: number): void {
    if (!this.#isOpen || !this.#breaker.allowsFork) return
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
    this.#isOpen = true
  }

  /**
   * Closes all workers. Jobs that are running may go on for a while; then they are told to end, and those that do not are
   * killed.
   *
   * @param timeout milliseconds for which jobs may go on; 0: their workers are killed at once
   * @param reason what jobs are told that are still running then
   */
  async close(timeout: number, reason: Error): Promise<void> {
    this.#isOpen = false
    this.#pending = 0
    for (const worker of this.#workers) {
      if (worker.state === 'busy') continue
      worker.close()
      if (timeout === 0) worker.kill()
    }
    const abort = setTimeout(() => {
      for (const worker of this.#workers) worker.abort(reason, timeout === 0 ? 0 : this.#options.abortGrace)
    }, timeout)
    await new Promise<void>(resolve => {
      this.#watcher = () => {
        if (this.#workers.size === 0) resolve()
      }
      this.#watcher()
    })
    clearTimeout(abort)
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
    const { changed, outcome, expired, question } = this.#events
    const worker: WorkerHandle = new WorkerHandle(child, port, {
      ready: changed,
      outcome: (claim, result, aborted) => {
        this.#breaker.succeeded()
        outcome(claim, result, aborted)
        if (!this.#isOpen || this.isWornOut(worker)) worker.close()
        changed()
      },
      expired: claim => {
        expired(claim)
        if (!this.#isOpen) worker.close()
        changed()
      },
      question,
      gone: end => {
        this.#workers.delete(worker)
        this.workerGone(port, end)
        this.#watcher()
        changed()
      },
    })
    this.#workers.add(worker)
  }

  private isWornOut({ jobs, rss }: WorkerHandle): boolean {
    const { maxJobs, maxMemory } = this.#options
    return jobs >= (maxJobs ?? Infinity) || rss > (maxMemory ?? Infinity) * MEGABYTE
  }

  private workerGone(port: number, { exit, lastWords, job, state }: End): void {
    const how = describeExit(exit)
    if (job?.hasStarted) this.#events.died(job.claim, { how, lastWords }, job.aborted)
    else if (job !== undefined) this.#events.notStarted(job.claim)
    else if (state !== 'closing') {
      const when = state === 'booting' ? 'before it was ready' : 'without a job in it'
      this.forkFailed(`a worker on port ${String(port)} ended ${when} (${how})`)
    }
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

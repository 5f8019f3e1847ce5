import type { ChildProcess } from 'node:child_process'
import { messageOf } from '../../common/errors'
import type { Log } from '../../common/log'
import type { Outcome } from '../../common/protocol'
import type { Claim } from '../queue/claim'
import { ForkBreaker } from './fork-breaker'
import { freePort } from './free-port'
import { type End, type Exit, type Question, WorkerHandle } from './worker-handle'

export interface PoolOptions {
  /** The port of the first worker. */
  readonly port: number
  /** How many workers may live at once. */
  readonly size: number
  /** Forks a copy of this server whose web server listens on `port`. */
  readonly fork: (port: number) => ChildProcess
  readonly log: Log
}

/** What the pool tells its owner. */
export interface PoolEvents {
  /** There may be more that can be done now: a worker is free or gone, or another may be forked again. */
  changed(): void
  outcome(claim: Claim, outcome: Outcome): void
  /** The worker came to this job too late to start it. */
  expired(claim: Claim): void
  question(question: Question): void
  /** A worker died while it ran this job. */
  crashed(claim: Claim, exit: Exit): void
  /** A worker died that had been sent this job, but had not started it. */
  notStarted(claim: Claim): void
}

/** The workers: forks them, knows which are free, and closes them. */
export class Pool {
  readonly #options: PoolOptions
  readonly #events: PoolEvents
  readonly #workers = new Set<WorkerHandle>()
  readonly #breaker = new ForkBreaker()
  /** Workers that are to be forked: one after the other, since each looks for a free port. */
  #pending = 0
  #isForking = false

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
   * @param startBefore the moment, on the monotonic clock, from which the job must not be started any more
   * @returns false when there is none
   * @throws when the job holds what cannot be sent; the worker stays idle
   */
  run(claim: Claim, startBefore: number | undefined): boolean {
    const [worker] = this.inState('idle')
    worker?.run(claim, startBefore)
    return worker !== undefined
  }

  /** Forks this many workers, as far as there is room, unless the last ones could not boot. */
  grow(count: number): void {
    if (!this.#breaker.allowsFork) return
    this.#pending += Math.max(0, Math.min(count, this.room))
    if (!this.#isForking) void this.forkPending()
  }

  /** Closes the workers that have had no job for this many milliseconds. */
  closeIdle(milliseconds: number): void {
    for (const worker of this.inState('idle')) {
      if (worker.idleFor() >= milliseconds) worker.close()
    }
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
    const worker = new WorkerHandle(child, port, {
      ready: () => {
        this.#events.changed()
      },
      outcome: (claim, outcome) => {
        this.#breaker.succeeded()
        this.#events.outcome(claim, outcome)
        this.#events.changed()
      },
      expired: claim => {
        this.#events.expired(claim)
        this.#events.changed()
      },
      question: question => {
        this.#events.question(question)
      },
      gone: end => {
        this.#workers.delete(worker)
        this.workerGone(port, end)
        this.#events.changed()
      },
    })
    this.#workers.add(worker)
  }

  private workerGone(port: number, { exit, claim, hasStarted, state }: End): void {
    if (claim !== undefined && hasStarted) this.#events.crashed(claim, exit)
    else if (claim !== undefined) this.#events.notStarted(claim)
    else if (state !== 'closing') {
      const when = state === 'booting' ? 'before it was ready' : 'without a job in it'
      this.forkFailed(`a worker on port ${String(port)} ended ${when} (${describeExit(exit)})`)
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

/** `exit code 1`, or `signal SIGKILL`. */
export function describeExit({ code, signal }: Exit): string {
  return signal === null ? `exit code ${String(code)}` : `signal ${signal}`
}

import type { ChildProcess } from 'node:child_process'
import { MAX_TIMER_MS } from '../../common/policy'
import type { WorkerStats } from '../../common/stats'
import { counted } from '../../common/text'
import { MEGABYTE } from '../machine'
import type { Claim } from '../queue/claim'
import { PREFETCHED_START_WITHIN_MS } from '../tuning'
import { Forker } from './fork/forker'
import type { PoolListener, PoolOptions } from './pool-options'
import { Scheduler } from './scheduler'
import { StartWatch } from './start-watch'
import type { Limits, SentJob } from './workers/job'
import { type ExitReport, deathOf, howOf, isOwnFault, momentOf } from './workers/worker-exit'
import { Worker } from './workers/worker'

const USUAL_BOOT_TIME_MS = 1500

/** Forks the workers, sends them jobs, and closes them. */
export class Pool {
  /** Decides which worker gets the next job, and says how many more could be sent. */
  readonly scheduler: Scheduler
  readonly #options: PoolOptions
  /** Set by `open`, before the first worker is forked. */
  #listener: PoolListener | undefined
  readonly #workers = new Set<Worker>()
  readonly #forker: Forker
  readonly #startWatch: StartWatch
  /** Set once the pool closes: the reason with which running jobs are aborted. */
  #closing: Error | undefined
  #bootTime = USUAL_BOOT_TIME_MS
  /** When running jobs are aborted, and when all workers are killed, while the pool closes (performance.now). */
  #abortAt = Infinity
  #killAt = Infinity
  #endTimers: NodeJS.Timeout[] = []
  /** Called when the last worker is gone. */
  readonly #whenEmpty: (() => void)[] = []

  constructor(options: PoolOptions) {
    this.#options = options
    this.scheduler = new Scheduler(this.#workers, options)
    this.#startWatch = new StartWatch(this.#workers, options.startTimeout, { hangs: worker => this.replace(worker) })
    this.#forker = new Forker(options, {
      portsInUse: () => new Set([...this.#workers].map(({ port }) => port)),
      forked: (child, port) => this.add(child, port),
      mayForkAgain: () => this.listener.poolChanged(),
    })
  }

  /** Milliseconds that the last worker took to boot; a guess until the first has booted. */
  get bootTime(): number {
    return this.#bootTime
  }

  /** How many more jobs could run without another fork: on the workers that exist, and on those about to be forked. */
  get freeSlots(): number {
    return this.scheduler.freeSlots + this.#forker.pending * this.#options.slots
  }

  /** How many more jobs could run at once if the pool forked all the workers that it still may. */
  get slotsToFork(): number {
    const { size, slots } = this.#options
    return (size - this.#forker.pending - this.#workers.size) * slots
  }

  /** Sends a job to this worker. @throws when the job contains a value that cannot be sent */
  run(worker: Worker, claim: Claim, limits: Limits): void {
    const { slots, startTimeout } = this.#options
    worker.run(claim, worker.load < slots ? startTimeout : PREFETCHED_START_WITHIN_MS, limits)
    this.#startWatch.begin()
  }

  /**
   * Sends a job to a worker that has no other, and that gets no other while this one runs.
   *
   * @returns false when no worker is free for it yet
   * @throws when the job contains a value that cannot be sent
   */
  runAlone(claim: Claim, limits: Limits): boolean {
    const worker = this.scheduler.nextAlone()
    worker?.runAlone(claim, this.#options.startTimeout, limits)
    this.#startWatch.begin()
    return worker !== undefined
  }

  /** Aborts the job of this claim, if a worker has it. @param grace milliseconds that the job has to finish */
  abort({ token }: Claim, reason: Error, grace: number): void {
    this.jobWith(token)?.abort(reason, grace)
  }

  /** Recalls the job of this claim, unless its worker has started it. */
  recall({ token }: Claim): void {
    const job = this.jobWith(token)
    if (job?.hasStarted === false) job.recall()
  }

  /**
   * Forks workers for this many more jobs, up to the size of the pool. Forks none in the pause after a failed worker.
   */
  grow(jobs: number): void {
    const workers = Math.ceil(Math.min(jobs, this.slotsToFork) / this.#options.slots)
    if (this.#closing === undefined) this.#forker.fork(workers)
  }

  /** Closes the workers that have had no job for this many milliseconds. */
  closeIdle(milliseconds: number): void {
    for (const worker of this.#workers) {
      if (worker.isIdle && worker.idleFor() >= milliseconds) worker.close()
    }
  }

  stats(): Promise<WorkerStats[]> {
    return Promise.all([...this.#workers].map(worker => worker.stats()))
  }

  /** Workers may be forked from now on. */
  open(listener: PoolListener): void {
    this.#listener = listener
    this.#closing = undefined
    this.#abortAt = Infinity
    this.#killAt = Infinity
  }

  /**
   * Closes all workers. Running jobs may finish for a while, are then aborted, and then their workers are killed. A
   * second call may shorten both periods, and never lengthens them.
   *
   * @param timeout milliseconds until running jobs are aborted
   * @param grace milliseconds from then until all workers are killed; 0: at once
   */
  async close(timeout: number, grace: number, reason: Error): Promise<void> {
    this.#closing = reason
    this.#forker.cancelPending()
    for (const worker of this.#workers) {
      worker.recallUnstarted()
      if (worker.isEmpty) worker.close()
    }
    const now = performance.now()
    this.#abortAt = Math.min(this.#abortAt, now + timeout)
    this.#killAt = Math.min(this.#killAt, now + timeout + grace)
    this.abortThenKill(now, reason)
    if (this.#workers.size > 0) await new Promise<void>(resolve => this.#whenEmpty.push(resolve))
    this.cancelEnd()
  }

  /** Applies to every worker that remains at these times: booting, idle, hung or exiting. */
  private abortThenKill(now: number, reason: Error): void {
    this.cancelEnd()
    const abort = () => {
      const grace = Math.max(0, this.#killAt - performance.now())
      for (const job of [...this.#workers].flatMap(({ jobs }) => jobs)) job.abort(reason, grace)
    }
    const kill = () => {
      for (const worker of this.#workers) worker.kill()
    }
    const delayUntil = (time: number) => Math.min(Math.max(0, time - now), MAX_TIMER_MS)
    this.#endTimers = [setTimeout(abort, delayUntil(this.#abortAt)), setTimeout(kill, delayUntil(this.#killAt))]
  }

  private cancelEnd(): void {
    for (const timer of this.#endTimers.splice(0)) clearTimeout(timer)
  }

  private get listener(): PoolListener {
    if (this.#listener === undefined) throw new Error('nschwarz:cluster: the pool is not open')
    return this.#listener
  }

  private add(child: ChildProcess, port: number): void {
    const { listener } = this
    const worker: Worker = new Worker(child, port, {
      ready: bootTime => {
        this.#bootTime = bootTime
        listener.poolChanged()
      },
      becameResponsive: () => listener.poolChanged(),
      jobStarted: claim => listener.jobStarted(claim),
      jobReported: (claim, report) => listener.jobReported(claim, report),
      jobEnded: (claim, end) => {
        this.#forker.succeeded()
        this.scheduler.jobEnded(claim.task.taskType, end.milliseconds)
        listener.jobEnded(claim, end)
        this.jobLeft(worker)
      },
      jobReturned: (claim, reason) => {
        listener.jobReturned(claim, reason)
        this.jobLeft(worker)
      },
      questionAsked: question => listener.questionAsked(question),
      waitRequested: task => listener.taskAwaited(task),
      slotLent: () => listener.poolChanged(),
      addRequested: task => listener.addClaimed(task),
      tasksAdded: tasks => listener.tasksAdded(tasks),
      taskRetried: task => listener.taskRetried(task),
      cancelRequested: token => listener.workerRequestedCancel(token),
      taskCancelled: task => listener.workerCancelled(task),
      typePaused: (taskType, isPaused) => listener.typePaused(taskType, isPaused),
      faulty: text => {
        this.#options.log.error(`worker on port ${String(port)}: ${text}`)
      },
      gone: end => {
        this.workerGone(worker, end)
        listener.poolChanged()
      },
    })
    this.#workers.add(worker)
  }

  private replace(worker: Worker): void {
    const { log, startTimeout } = this.#options
    const limit = `${String(startTimeout)} ms (startTimeout)`
    log.error(`worker on port ${String(worker.port)}: killed, since it did not start a job within ${limit}`)
    worker.kill()
  }

  private jobLeft(worker: Worker): void {
    const isWornOut = this.scheduler.isWornOut(worker)
    if (isWornOut || this.#closing !== undefined) {
      worker.recallUnstarted()
      if (isWornOut && worker.isEmpty) this.logRecycled(worker)
      if (worker.isEmpty) worker.close()
    }
    this.listener.poolChanged()
  }

  private logRecycled({ jobsDone, port, rss }: Worker): void {
    // The memory is known only if it is limited.
    const memory = rss === 0 ? '' : ` and with ${String(Math.round(rss / MEGABYTE))} MB`
    this.#options.log.info(`worker on port ${String(port)}: recycled, after ${counted(jobsDone, 'job')}${memory}`)
  }

  private workerGone(worker: Worker, end: ExitReport): void {
    this.#workers.delete(worker)
    this.scheduler.forget(worker)
    this.reportJobs(end)
    this.listener.workerExited({ ...end.exit, port: worker.port, jobs: end.jobs.length })
    this.countFailure(worker, end)
    if (this.#workers.size === 0) for (const resolve of this.#whenEmpty.splice(0)) resolve()
  }

  private reportJobs(end: ExitReport): void {
    // Then any of them may have killed it.
    const isUnstarted = end.jobs.every(({ hasStarted }) => !hasStarted)
    for (const job of end.jobs) {
      const death = deathOf(job, end)
      // While the pool closes, a death is no fault of the job: the worker may have been signalled together with its
      // master.
      if (job.hasStarted) this.listener.workerDied(job.claim, death, job.abortReason ?? this.#closing)
      else if (isUnstarted && this.#closing === undefined && end.state !== 'closing')
        this.listener.workerDiedBefore(job.claim, death)
      else this.listener.jobReturned(job.claim, 'its worker died before it had started')
    }
  }

  private countFailure({ port }: Worker, end: ExitReport): void {
    if (this.#closing !== undefined || !isOwnFault(end)) return
    this.#forker.failed(`a worker on port ${String(port)} ended ${momentOf(end)} (${howOf(end.exit)})`)
  }

  private jobWith(token: string): SentJob | undefined {
    for (const worker of this.#workers) {
      const job = worker.job(token)
      if (job !== undefined) return job
    }
    return undefined
  }
}

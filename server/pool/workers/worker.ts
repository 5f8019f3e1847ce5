import type { ChildProcess } from 'node:child_process'
import { clockOffset, monotonicNow } from '../../../common/clock'
import { type ToMaster, jobToWire } from '../../../common/pipe/protocol'
import { errorToWire } from '../../../common/pipe/wire'
import type { WorkerState, WorkerStats } from '../../../common/stats'
import type { Claim } from '../../queue/claim'
import { Gauge } from './gauge'
import { type JobCommands, type Limits, SentJob } from './job'
import { type FaultHandling, handleUnreadable, handleUnsent } from './message-faults'
import type { Exit, WorkerListener } from './worker-exit'
import { WorkerProcess } from './worker-process'
import { WorkerRequests, refused } from './worker-requests'

/** One worker: what it is doing, and the jobs that it has. */
export class Worker implements JobCommands {
  readonly port: number
  readonly #process: WorkerProcess
  readonly #listener: WorkerListener
  readonly #requests: WorkerRequests
  readonly #gauge: Gauge
  #state: WorkerState = 'booting'
  /** By token, in the order in which they are started. */
  readonly #jobs = new Map<string, SentJob>()
  #jobsDone = 0
  #rss = 0
  /** The token of a job that is to run alone. */
  #alone: string | undefined
  /** Monotonic milliseconds (performance.now). */
  #idleSince = 0

  constructor(child: ChildProcess, port: number, listener: WorkerListener) {
    const forkedAt = performance.now()
    this.port = port
    this.#listener = listener
    this.#process = new WorkerProcess(child, {
      message: message => {
        if (this.#state === 'silent') this.becameResponsive()
        if (message.kind === 'ready') this.becomeReady(performance.now() - forkedAt)
        else if (message.kind === 'unreadable') handleUnreadable(message, this.faultHandling)
        else this.receive(message)
      },
      left: messages => {
        for (const message of messages) if (message.kind === 'run') this.#jobs.get(message.token)?.flushed()
      },
      unsent: (message, error) => handleUnsent(message, error, this.faultHandling),
      exited: () => {
        for (const job of this.jobs) job.clearTimers()
      },
      end: (exit, stderrTail) => this.processExited(exit, stderrTail),
    })
    this.#requests = new WorkerRequests({
      listener,
      send: message => this.#process.send(message),
      claimOf: token => this.#jobs.get(token)?.claim,
    })
    this.#gauge = new Gauge(() => this.#process.send({ kind: 'measure' }))
  }

  get state(): WorkerState {
    return this.#state
  }

  /**
   * How many slots its jobs take, including those that it has not started. A job that waits for another lends its slot.
   */
  get load(): number {
    return this.#jobs.size - this.lentSlots
  }

  /** How many of its jobs wait for another task. */
  get lentSlots(): number {
    return this.#requests.lentSlots
  }

  /** Whether it has no job. */
  get isEmpty(): boolean {
    return this.#jobs.size === 0
  }

  get isIdle(): boolean {
    return this.#state === 'ready' && this.#jobs.size === 0
  }

  /** How many of its jobs have reported an outcome. */
  get jobsDone(): number {
    return this.#jobsDone
  }

  /** Its resident memory in bytes when its last job was over; 0 when memory is not limited. */
  get rss(): number {
    return this.#rss
  }

  get jobs(): readonly SentJob[] {
    return [...this.#jobs.values()]
  }

  /** The jobs that it has not started. */
  get unstarted(): readonly SentJob[] {
    return this.jobs.filter(({ hasStarted }) => !hasStarted)
  }

  /** Whether it runs a job, which may block it. */
  get isBusy(): boolean {
    return this.jobs.some(({ hasStarted }) => hasStarted)
  }

  /** Whether it has a job that is to run alone, and that does not wait for another. */
  get runsAlone(): boolean {
    return this.#alone !== undefined && !this.#requests.isLent(this.#alone)
  }

  async stats(): Promise<WorkerStats> {
    // A worker that is not ready would answer too late.
    const measured = this.#state === 'ready' ? await this.#gauge.measure() : undefined
    return {
      pid: this.#process.pid,
      port: this.port,
      state: this.#state,
      jobs: this.#jobs.size,
      jobsDone: this.#jobsDone,
      rss: measured?.rss,
      eventLoopUtilization: measured?.eventLoopUtilization,
    }
  }

  idleFor(): number {
    return this.isIdle ? performance.now() - this.#idleSince : 0
  }

  job(token: string): SentJob | undefined {
    return this.#jobs.get(token)
  }

  /**
   * Sends it a job.
   *
   * @param startsWithin milliseconds
   * @throws when the job contains a value that cannot be sent; nothing is sent then
   */
  run(claim: Claim, startsWithin: number, limits: Limits): void {
    const { token, task } = claim
    const startBefore = Math.min(limits.startBefore ?? Infinity, monotonicNow() + startsWithin)
    this.#process.send({
      kind: 'run',
      token,
      job: jobToWire(task),
      attempt: task.attempts ?? 1,
      startBefore,
      clockOffset: clockOffset(),
    })
    this.#jobs.set(token, new SentJob(claim, startsWithin, limits, this))
  }

  /** As `run`, but it gets no other job until this one is over. */
  runAlone(claim: Claim, startsWithin: number, limits: Limits): void {
    this.run(claim, startsWithin, limits)
    this.#alone = claim.token
  }

  /** Recalls the jobs that it has not started. It returns them when it reads the message. */
  recallUnstarted(): void {
    for (const { claim } of this.unstarted) this.recall(claim.token)
  }

  /**
   * Takes back a job that it did not start in time, and whose recall it may not have read. It has not started the job:
   * a start is reported before the function is called. It will not start it either: it refuses a job that is late.
   */
  takeBack({ claim: { token } }: SentJob): void {
    if (this.#state === 'ready') this.#state = 'silent'
    this.returned(token, 'its worker is busy, and did not start it in time')
  }

  recall(token: string): void {
    this.#process.send({ kind: 'recall', token })
  }

  abort(token: string, reason: Error): void {
    this.#process.send({ kind: 'abort', token, reason: errorToWire(reason) })
  }

  /** The timeouts of its jobs no longer apply: they cannot finish. */
  kill(): void {
    for (const job of this.jobs) job.clearTimers()
    this.#process.kill()
  }

  /** Kills it because a job did not finish in time; its other jobs are not blamed. */
  killForJob(): void {
    this.#state = 'closing'
    this.kill()
  }

  /** Closes it; it should have no job. */
  close(): void {
    if (this.#state === 'closing' || this.#state === 'gone') return
    this.#state = 'closing'
    this.#process.close()
  }

  private receive(message: Exclude<ToMaster, { kind: 'ready' }>): void {
    switch (message.kind) {
      case 'started':
        this.jobStarted(message.token)
        return
      case 'report': {
        const job = this.#jobs.get(message.token)
        if (job !== undefined) this.#listener.jobReported(job.claim, message)
        return
      }
      case 'outcome':
        this.#rss = message.rss ?? 0
        this.jobEnded(message)
        return
      case 'expired':
        this.returned(message.token, 'it reached its worker too late to be started')
        return
      case 'recalled':
        this.recalled(message.token)
        return
      case 'measured':
        this.#gauge.receive(message)
        return
      default:
        this.#requests.receive(message)
    }
  }

  private get faultHandling(): FaultHandling {
    return {
      fail: (token, error) => this.failForGood(token, error),
      refuse: (token, conversation, error) => {
        this.#process.send({ kind: 'answer', token, conversation, answer: refused(error) })
      },
      reject: how => this.#process.rejectFor(how),
      log: text => this.#listener.faulty(text),
    }
  }

  private failForGood(token: string, error: Error): void {
    const task = this.#jobs.get(token)?.claim.task
    const subject = task === undefined ? 'a job that it does not have' : `the job of ${task.taskType}:${task._id}`
    this.#listener.faulty(`${subject} failed: ${error.message}`)
    this.jobEnded({ token, outcome: { kind: 'failed', error: errorToWire(error), isFinal: true }, duration: 0 })
  }

  private becomeReady(bootTime: number): void {
    if (this.#state !== 'booting') return
    this.#state = 'ready'
    this.#idleSince = performance.now()
    this.#process.booted()
    this.#listener.ready(bootTime)
  }

  private becameResponsive(): void {
    this.#state = 'ready'
    this.#listener.becameResponsive()
  }

  private jobStarted(token: string): void {
    const job = this.#jobs.get(token)
    if (job === undefined || job.hasStarted) return
    job.started()
    this.#listener.jobStarted(job.claim)
  }

  private jobEnded({ token, outcome, duration }: Omit<Extract<ToMaster, { kind: 'outcome' }>, 'kind'>): void {
    const job = this.removeJob(token)
    if (job === undefined) return
    this.#jobsDone++
    this.#listener.jobEnded(job.claim, { outcome, milliseconds: duration, abortReason: job.abortReason })
  }

  private recalled(token: string): void {
    if (this.#jobs.get(token)?.hasStarted !== true) this.returned(token)
    else this.#process.rejectFor('The master killed it: it returned a job that it had already started.')
  }

  private returned(token: string, reason?: string): void {
    const job = this.removeJob(token)
    if (job !== undefined) this.#listener.jobReturned(job.claim, reason)
  }

  private removeJob(token: string): SentJob | undefined {
    const job = this.#jobs.get(token)
    job?.clearTimers()
    this.#jobs.delete(token)
    this.#requests.jobOver(token)
    if (this.#alone === token) this.#alone = undefined
    if (this.#jobs.size === 0) this.#idleSince = performance.now()
    return job
  }

  private processExited(exit: Exit, stderrTail: string): void {
    const { jobs } = this
    const waiting = new Set(jobs.filter(({ claim }) => this.#requests.isLent(claim.token)))
    const state = this.#state
    for (const job of jobs) job.clearTimers()
    this.#state = 'gone'
    this.#jobs.clear()
    this.#requests.jobOver()
    this.#listener.gone({ exit, stderrTail, jobs, waiting, state })
  }
}

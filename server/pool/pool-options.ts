import type { Task, TaskSignal } from '../../common/task'
import type { Claim } from '../queue/claim'
import type { ForkerOptions } from './fork/forker'
import type { SchedulerOptions } from './scheduler'
import type { Death, JobEnd, Question } from './worker-exit'

export interface PoolOptions extends SchedulerOptions, ForkerOptions {
  /** How many workers may live at once. */
  readonly size: number
  /** Milliseconds that a worker which runs nothing may take to start a job. */
  readonly startTimeout: number
}

/** What happens in the pool, for the master. */
export interface PoolListener {
  /** There may be more that can be done now: a worker is free or gone, or another may be forked again. */
  poolChanged(): void
  /** The function of this job is about to be called. */
  jobStarted(claim: Claim): void
  jobEnded(claim: Claim, end: JobEnd): void
  /** A worker has not started this job, and will not. `reason`: for the log, where nobody asked for it. */
  jobReturned(claim: Claim, reason?: string): void
  /** A worker died while it ran this job. `aborted`: why the job had been told to end, if it had. */
  workerDied(claim: Claim, death: Death, aborted: Error | undefined): void
  /** A worker died, or hung and was killed, before it had started the only job that it had. */
  workerDiedBefore(claim: Claim, death: Death): void
  /** A job asks the message broker. */
  questionAsked(question: Question): void
  /** A worker adds this task. @returns whether it was stored; if not, the worker stores it. May reject */
  addClaimed(task: Task): Promise<boolean>
  /** A task was added in a worker, or started anew. */
  taskAdded(task: TaskSignal): void
  /** A worker asked to cancel a running task, of whichever master. */
  workerRequestedCancel(token: string): void
  /** A worker cancelled a task that was not running. */
  workerCancelled(task: Task): void
}

import type { Incarnation, Wait } from '../../common/ending'
import type { Report } from '../../common/report'
import type { WorkerExit } from '../../common/stats'
import type { Task, TaskSignal } from '../../common/task'
import type { Claim } from '../queue/claim'
import type { ForkerOptions } from './fork/forker'
import type { SchedulerOptions } from './scheduler'
import type { Death, JobOutcome, Question } from './workers/worker-exit'

export interface PoolOptions extends SchedulerOptions, ForkerOptions {
  /** How many workers may live at once. */
  readonly size: number
  /** Milliseconds within which a worker that runs no job must start one. */
  readonly startTimeout: number
}

/** What the pool reports to the master. */
export interface PoolListener {
  /** The master may have more to do now: a worker is free or gone, or another may be forked again. */
  poolChanged(): void
  /** The function of this job is about to be called. */
  jobStarted(claim: Claim): void
  /** This job reports its progress, or lines of its log. */
  jobReported(claim: Claim, report: Report): void
  jobEnded(claim: Claim, outcome: JobOutcome): void
  /** A worker has not started this job, and will not. @param reason for the log; undefined when the job was recalled */
  jobReturned(claim: Claim, reason?: string): void
  /** A worker died while it ran this job. @param abortReason why the job was aborted, or why the pool closes, if so */
  workerDied(claim: Claim, death: Death, abortReason: Error | undefined): void
  /** A worker died, or hung and was killed, before it had started its only job. */
  workerDiedBefore(claim: Claim, death: Death): void
  /** The process of a worker is gone. What becomes of its jobs was reported before. */
  workerExited(exit: WorkerExit): void
  /** A job asks the message broker. */
  questionAsked(question: Question): void
  /** A job waits for the end of this task, which is in the queue. */
  taskAwaited(task: Incarnation): Wait
  /** A worker adds this task. @returns whether it was stored (may reject); if not, the worker stores it */
  addClaimed(task: Task): Promise<boolean>
  /** Tasks were added in a worker. */
  tasksAdded(tasks: readonly TaskSignal[]): void
  taskRetried(task: TaskSignal): void
  /** A worker requested cancellation of a running task, which any master may hold. */
  workerRequestedCancel(token: string): void
  /** A worker cancelled a task that was not running. */
  workerCancelled(task: Task): void
  /** A worker paused or resumed a task type. */
  typePaused(taskType: string, isPaused: boolean): void
}

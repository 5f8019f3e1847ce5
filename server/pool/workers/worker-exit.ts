import type { Incarnation, Wait } from '../../../common/ending'
import type { Outcome, Answer, ToMaster } from '../../../common/pipe/protocol'
import type { Report } from '../../../common/report'
import type { Task, TaskSignal } from '../../../common/task'
import type { Claim } from '../../queue/claim'
import type { WorkerState } from '../../../common/stats'
import type { SentJob } from './job'

/** How the process of a worker exited. */
export interface Exit {
  /** Undefined when the process could not be forked. */
  readonly pid: number | undefined
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** The outcome that a job reported. */
export interface JobOutcome {
  readonly outcome: Outcome
  /** How long its function ran. */
  readonly milliseconds: number
  /** Why the job had been aborted, if it had. */
  readonly abortReason: Error | undefined
}

/** How a worker died while it ran a job. */
export interface Death {
  /** Of the process; undefined when it could not be forked. */
  readonly pid: number | undefined
  /** `exit code 1` or `signal SIGKILL`. */
  readonly how: string
  /** The last lines that it wrote to stderr. */
  readonly stderrTail: string
  /**
   * Whether the job is to blame. `certain`: no other job ran. `possible`: the worker ran other jobs too. `none`: the
   * worker was killed because another job did not finish, or died while this job waited for another task.
   */
  readonly blame: 'certain' | 'possible' | 'none'
}

/** A message of a running job to the message broker. */
export interface Question {
  readonly claim: Claim
  readonly message: Extract<ToMaster, { kind: 'ask' }>
  readonly answer: (answer: Answer) => void
}

/** What a worker reports to the pool. */
export interface WorkerListener {
  /** @param bootTime milliseconds since it was forked */
  ready(bootTime: number): void
  /** It was silent, and has sent a message: jobs may be sent to it again. */
  becameResponsive(): void
  /** The function of this job is about to be called. */
  jobStarted(claim: Claim): void
  jobReported(claim: Claim, report: Report): void
  jobEnded(claim: Claim, outcome: JobOutcome): void
  /**
   * The worker has not started this job, and will not.
   *
   * @param reason for the log; undefined when the job was recalled
   */
  jobReturned(claim: Claim, reason?: string): void
  questionAsked(question: Question): void
  /** A job waits for the end of this task. */
  waitRequested(task: Incarnation): Wait
  /** A job waits, and lends its slot: another job may be sent. */
  slotLent(): void
  /** The worker adds this task. @returns whether it was stored (may reject); if not, the worker stores it */
  addRequested(task: Task): Promise<boolean>
  /** Tasks were added in the worker. */
  tasksAdded(tasks: readonly TaskSignal[]): void
  taskRetried(task: TaskSignal): void
  /** The worker requested cancellation of a running task, which any master may hold. */
  cancelRequested(token: string): void
  /** The worker cancelled a task that was not running. */
  taskCancelled(task: Task): void
  /** The worker paused or resumed a task type. */
  typePaused(taskType: string, isPaused: boolean): void
  /** A message to or from the worker is faulty. @param text for the log */
  faulty(text: string): void
  /** The process is gone and its pipe is read to the end. */
  gone(report: ExitReport): void
}

/** How a worker exited, and what it was doing. */
export interface ExitReport {
  readonly exit: Exit
  /** The end of what it wrote to stderr. */
  readonly stderrTail: string
  /** The jobs that it had. */
  readonly jobs: readonly SentJob[]
  /** Those of them that waited for the end of another task. */
  readonly waiting: ReadonlySet<SentJob>
  readonly state: WorkerState
}

/** How a worker died, as far as this one of its jobs is concerned. */
export function deathOf(job: SentJob, report: ExitReport): Death {
  const { exit, stderrTail } = report
  return { pid: exit.pid, how: howOf(exit), stderrTail, blame: blameOf(job, report) }
}

// Invariant 9: only a job that ran when its worker died is blamed.
function blameOf(job: SentJob, { jobs, state, waiting }: ExitReport): Death['blame'] {
  const started = jobs.filter(({ hasStarted }) => hasStarted)
  if (state === 'closing' || started.some(({ abortReason }) => abortReason !== undefined)) return 'none'
  const active = started.filter(other => !waiting.has(other))
  const suspects = active.length === 0 ? started : active
  if (!suspects.includes(job)) return job.hasStarted ? 'none' : 'certain'
  return suspects.length > 1 ? 'possible' : 'certain'
}

export function howOf({ code, signal }: Exit): string {
  return signal === null ? `exit code ${String(code)}` : `signal ${signal}`
}

/** Whether it died on its own: it was not closed, and no job in it had started or been aborted. */
export function isOwnFault({ jobs, state }: ExitReport): boolean {
  return state !== 'closing' && jobs.every(({ abortReason, hasStarted }) => abortReason === undefined && !hasStarted)
}

/** At what point of its life it died, for the log. */
export function momentOf({ jobs, state }: ExitReport): string {
  if (state === 'booting') return 'before it was ready'
  return jobs.length === 0 ? 'without a job in it' : 'before it had started its job'
}

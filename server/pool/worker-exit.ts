import type { Outcome, Answer, ToMaster } from '../../common/pipe/protocol'
import type { Task, TaskSignal } from '../../common/task'
import type { Claim } from '../queue/claim'
import type { SentJob } from './job'

/** How a worker's process ended. */
export interface Exit {
  /** Undefined when it could not be forked. */
  readonly pid: number | undefined
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** How a job ended by itself. */
export interface JobEnd {
  readonly outcome: Outcome
  /** How long its function ran. */
  readonly milliseconds: number
  /** Why it had been told to end early, if it had. */
  readonly aborted: Error | undefined
}

/** How a worker died while it ran a job. */
export interface Death {
  /** Of its process; undefined when it could not be forked. */
  readonly pid: number | undefined
  /** `exit code 1` or `signal SIGKILL`. */
  readonly how: string
  /** The last lines that it wrote to stderr. */
  readonly lastWords: string
  /**
   * Whether it was the job's fault: certainly, possibly (it ran others too), or not (it was killed because another did
   * not end).
   */
  readonly blame: 'certain' | 'possible' | 'none'
}

/** A message of a running job to the message broker. */
export interface Question {
  readonly claim: Claim
  readonly message: Extract<ToMaster, { kind: 'ask' }>
  readonly answer: (answer: Answer) => void
}

/** What happens in a worker, for the pool. */
export interface WorkerListener {
  /** @param bootTime milliseconds since it was forked */
  ready(bootTime: number): void
  /** It was silent, and says something again: jobs may be sent to it. */
  spokeAgain(): void
  /** The function of this job is about to be called. */
  jobStarted(claim: Claim): void
  jobEnded(claim: Claim, end: JobEnd): void
  /** The worker has not started this job, and will not. `reason`: for the log, where nobody asked for it. */
  jobReturned(claim: Claim, reason?: string): void
  questionAsked(question: Question): void
  /** The worker adds this task. @returns whether it was stored; if not, the worker stores it. May reject */
  adds(task: Task): Promise<boolean>
  /** A task was added in the worker, or started anew. */
  taskAdded(task: TaskSignal): void
  /** The worker asked to cancel a running task, of whichever master. */
  cancelRequested(token: string): void
  /** The worker cancelled a task that was not running. */
  taskCancelled(task: Task): void
  /** Something in the pipe to or from the worker is not as it should be: for the log. */
  faulty(text: string): void
  /** The process is gone and its pipe is read to the end. */
  gone(end: End): void
}

/** How a worker ended, and what it was doing. */
export interface End {
  readonly exit: Exit
  /** The end of what it wrote to stderr. */
  readonly lastWords: string
  /** The jobs that were in it. */
  readonly jobs: readonly SentJob[]
  readonly state: WorkerState
}

/**
 * | state   | entered                                                   | left                              |
 * | ------- | --------------------------------------------------------- | --------------------------------- |
 * | booting | when it was forked                                        | when it says that it is ready     |
 * | ready   | when it says so, or speaks again after being silent       |                                   |
 * | silent  | when it did not start a job in time: it gets no more jobs | when it says anything             |
 * | closing | when it is let go                                         |                                   |
 * | gone    | when its process is gone and its pipe is read to the end  |                                   |
 */
export type WorkerState = 'booting' | 'ready' | 'silent' | 'closing' | 'gone'

export function deathOf({ exit: { code, pid, signal }, lastWords, jobs }: End): Death {
  const how = signal === null ? `exit code ${String(code)}` : `signal ${signal}`
  const started = jobs.filter(({ hasStarted }) => hasStarted)
  const isKilled = started.some(({ aborted }) => aborted !== undefined)
  return { pid, how, lastWords, blame: isKilled ? 'none' : started.length > 1 ? 'possible' : 'certain' }
}

/** Whether it died on its own: it was not closed, and no job in it had started or been aborted. */
export function isOwnFault({ jobs, state }: End): boolean {
  return state !== 'closing' && jobs.every(({ aborted, hasStarted }) => aborted === undefined && !hasStarted)
}

/** At what point of its life it died, for the log. */
export function momentOf({ jobs, state }: End): string {
  if (state === 'booting') return 'before it was ready'
  return jobs.length === 0 ? 'without a job in it' : 'before it had started its job'
}

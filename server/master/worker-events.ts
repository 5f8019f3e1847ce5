import type { Outcome, Answer, ToMaster } from '../../common/protocol'
import type { Claim } from '../queue/claim'
import type { SentJob } from './sent-job'

/** How a worker's process ended. */
export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** How a worker died while it ran a job: `exit code 1` or `signal SIGKILL`, and the last lines that it wrote to stderr. */
export interface Death {
  readonly how: string
  readonly lastWords: string
}

/** A message of a running job to the message broker. */
export interface Question {
  readonly claim: Claim
  readonly message: Extract<ToMaster, { kind: 'ask' }>
  readonly answer: (answer: Answer) => void
}

/** What the master wants to know of a worker. */
export interface WorkerEvents {
  readonly ready: () => void
  /** The job of this claim ended by itself; the worker is free again. `aborted`: why it had been told to, if it had. */
  readonly outcome: (claim: Claim, outcome: Outcome, aborted: Error | undefined) => void
  /** The worker came to this job too late to start it; it is free again. */
  readonly expired: (claim: Claim) => void
  readonly question: (question: Question) => void
  /** A task of this type was added in the worker, or retried. */
  readonly nudged: (taskType: string) => void
  /** A claim, of whichever master, was cut short by a cancel in the worker. */
  readonly cancelled: (token: string) => void
  /** The process is gone and its pipe is read to the end. */
  readonly gone: (end: End) => void
}

/** How a worker ended, and what it was doing. */
export interface End {
  readonly exit: Exit
  /** The end of what it wrote to stderr. */
  readonly lastWords: string
  /** The job that was in it. */
  readonly job: SentJob | undefined
  readonly state: WorkerState
}

export type WorkerState = 'booting' | 'idle' | 'busy' | 'closing' | 'gone'

/** `exit code 1`, or `signal SIGKILL`. */
export function describeExit({ code, signal }: Exit): string {
  return signal === null ? `exit code ${String(code)}` : `signal ${signal}`
}

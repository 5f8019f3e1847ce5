import type { ChildProcess } from 'node:child_process'
import type { Log } from '../../common/log'
import type { Outcome } from '../../common/protocol'
import type { Claim } from '../queue/claim'
import type { Death, Question } from './worker-events'

export interface PoolOptions {
  /** The port of the first worker. */
  readonly port: number
  /** How many workers may live at once. */
  readonly size: number
  /** Milliseconds that a job has to end after it was told to; then its worker is killed. */
  readonly abortGrace: number
  /** After how many jobs a worker is replaced, or null. */
  readonly maxJobs: number | null
  /** The resident memory, in megabytes, above which a worker is replaced, or null. */
  readonly maxMemory: number | null
  /** Forks a copy of this server whose web server listens on `port`. */
  readonly fork: (port: number) => ChildProcess
  readonly log: Log
}

/** What the pool tells its owner. */
export interface PoolEvents {
  /** There may be more that can be done now: a worker is free or gone, or another may be forked again. */
  readonly changed: () => void
  /** A job ended by itself. `aborted`: why it had been told to, if it had. */
  readonly outcome: (claim: Claim, outcome: Outcome, aborted: Error | undefined) => void
  /** The worker came to this job too late to start it. */
  readonly expired: (claim: Claim) => void
  readonly question: (question: Question) => void
  /** A task of this type was added in a worker, or retried. */
  readonly nudged: (taskType: string) => void
  /** A claim, of whichever master, was cut short by a cancel in a worker. */
  readonly cancelled: (token: string) => void
  /** A worker died while it ran this job. */
  readonly died: (claim: Claim, death: Death, aborted: Error | undefined) => void
  /** A worker died that had been sent this job, but had not started it. */
  readonly notStarted: (claim: Claim) => void
}

import type { ChildProcess } from 'node:child_process'
import type { Log } from '../../common/log'
import type { Outcome } from '../../common/protocol'
import type { Claim } from '../queue/claim'
import type { Nudge } from '../queue/signals'
import type { AssignmentOptions } from './scheduler'
import type { Death, Question } from './worker-exit'

export interface PoolOptions extends AssignmentOptions {
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
  readonly changed: () => void
  /** A job ended by itself. `aborted`: why it had been told to, if it had. */
  readonly outcome: (claim: Claim, outcome: Outcome, aborted: Error | undefined) => void
  /** A worker has not started this job, and will not. `reason`: for the log, where nobody asked for it. */
  readonly returned: (claim: Claim, reason?: string) => void
  readonly question: (question: Question) => void
  /** A task was added in a worker, or retried. */
  readonly nudged: (task: Nudge) => void
  /** A claim, of whichever master, was cut short by a cancel in a worker. */
  readonly cancelled: (token: string) => void
  /** A worker died while it ran this job. `aborted`: why the job had been told to end, if it had. */
  readonly died: (claim: Claim, death: Death, aborted: Error | undefined) => void
}

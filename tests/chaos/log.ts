/**
 * The log of a crash run, independent of the queue. Each process appends lines to a file of its own, synchronously, so
 * that no entry is lost with its process.
 */
import { appendFileSync, openSync, readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { monotonicNow } from '../../common/clock'

/** The folder of the log. */
export const LOG_VARIABLE = 'CHAOS_LOG'
/** The run that a process belongs to. Every child inherits it, so that leftover processes can be found. */
export const RUN_VARIABLE = 'CHAOS_RUN'

/** Set for a server without a cluster. */
export const WEB_VARIABLE = 'CHAOS_WEB'

/** The app whose schedules the run has. */
export const APP = 'chaos'

/** The entries of the task map. */
export type Kind =
  | 'short'
  | 'long'
  | 'blocking'
  | 'failing'
  | 'retrying'
  | 'dying'
  | 'dyingOnce'
  | 'adding'
  /** Has data and a result of up to megabytes. */
  | 'bulky'
  /** Takes longer than its timeout, and ends when it is aborted. */
  | 'overrunning'
  /** Takes longer than its timeout, and goes on until it is killed. */
  | 'ignoring'
  /** Acts on another task, or on a type. */
  | 'acting'
  /** No more than one at once on a master. */
  | 'limited'
  /** Its type is paused now and then. */
  | 'pausable'

/** A schedule of the crash run, and what its tasks run. The tasks of `Kind` are added by the driver. */
export type ScheduleName = 'tick' | 'fresh'

/** Which task: an `_id` may be used again, an incarnation is one task under it. */
export interface TaskName {
  readonly id: string
  readonly incarnation: string
}

export interface Plan extends TaskName {
  readonly kind: Kind
  /** Due date in milliseconds since 1970 by a correct clock; null for none. */
  readonly due: number | null
  readonly retries: number
  /** How many of its first attempts throw. */
  readonly failures: number
  readonly priority?: number
  /** Milliseconds for one attempt. */
  readonly timeout?: number
  /** The size of its data, and that of its result. */
  readonly bytes?: { readonly data: number; readonly result: number }
  readonly act?: Act
  /** It is added by two calls of `TaskQueue.run` at once: one adds it, the other joins it. */
  readonly isAwaited?: true
}

/** A call about a task that was added; `pause` and `resume` are about the type `pausable`, whatever the task. */
export interface Act {
  readonly method: 'remove' | 'cancel' | 'retry' | 'pause' | 'resume'
  readonly name: TaskName
}

export interface Failure {
  readonly name: string
  readonly message: string
}

export type TaskEventName = 'done' | 'error' | 'retry' | 'stalled' | 'cancelled'
/** `web`: a server without a cluster. */
export type Role = 'driver' | 'master' | 'worker' | 'web'
export type Attack =
  'kill-worker' | 'kill-master' | 'stop-master' | 'stop-worker' | 'stop-pair' | 'kill-mongod' | 'clean-stop' | 'skew'

/** A member of the union for each name. */
type Each<What extends string, Fields> = What extends string ? { readonly what: What } & Fields : never

export type Fact =
  | { readonly what: 'process'; readonly role: Role; readonly parent: number }
  /**
   * The server of a master or a worker has started, `bootedIn` milliseconds after its process. `workers`: how many the
   * master may have. `slots`: how many jobs each runs at once. `maxJobs`: after how many it is recycled.
   */
  | {
      readonly what: 'ready'
      readonly bootedIn: number
      readonly workers: number
      readonly slots: number
      readonly maxJobs: number | null
    }
  /** The driver found that a process is gone, which it last saw alive at `aliveAt`. */
  | { readonly what: 'gone'; readonly target: number; readonly aliveAt: number }
  /** What the driver's wall clock, which is correct, showed at this moment. */
  | { readonly what: 'clock'; readonly wall: number }
  /** Before the call; after its acknowledgement; after a DuplicateTaskError. */
  | Each<'adding' | 'added' | 'refused', Plan>
  | Each<'removing' | 'cancelling' | 'retrying' | 'pausing' | 'resuming', TaskName>
  /** The call was acknowledged. `found`: whether there was something to remove, cancel, retry, pause or resume. */
  | Each<'removed' | 'cancelled' | 'retried' | 'paused' | 'resumed', TaskName & { readonly found: boolean }>
  /**
   * What the database holds of a task, at each change that the driver's change stream reports. `wall`: when it was
   * written. `state`: null if the task is gone. `token`: that of its claim. `owner`: the pid of the master that holds
   * the claim, if that is known. `progress` and `result`: the token of the job that has reported, and that returned.
   */
  | ({
      readonly what: 'stored'
      readonly wall: number
      readonly state: string | null
      readonly token: string | null
      readonly owner: number | null
      readonly isCancelRequested: boolean
      readonly progress: string | null
      readonly result: string | null
    } & TaskName)
  /** A process waits for the end of a task; `wait`: which of its waiters. */
  | ({ readonly what: 'awaiting'; readonly wait: number } & TaskName)
  /**
   * What a waiter was told. `token`: what a done job returned. `error`: `Unsettled` if it was told nothing for long.
   */
  | ({
      readonly what: 'learned'
      readonly wait: number
      readonly token: string | null
      readonly error: Failure | null
    } & TaskName)
  /** A call that threw any other error: whether it took effect is unknown. */
  | { readonly what: 'unclear'; readonly call: string; readonly incarnation: string; readonly error: Failure }
  /** A worker read this job from its pipe. `startBefore` on the monotonic clock. */
  | ({ readonly what: 'received'; readonly token: string; readonly startBefore: number | null } & TaskName)
  /** A worker is about to report to its master that this job starts. */
  | { readonly what: 'told'; readonly token: string }
  | ({ readonly what: 'start'; readonly token: string; readonly attempt: number } & TaskName)
  /** A sign of life of a running job. */
  | { readonly what: 'beat'; readonly token: string }
  | { readonly what: 'end'; readonly token: string; readonly how: 'done' | 'failed' | 'aborted' }
  /** A master's listener got an event. `token`: what a done job returned. */
  | ({
      readonly what: 'event'
      readonly type: TaskEventName
      readonly token: string | null
      readonly error: Failure | null
    } & TaskName)
  /** `until`: when the attack was over, and its targets ran again. */
  | {
      readonly what: 'attack'
      readonly kind: Attack
      readonly targets: readonly number[]
      readonly from: number
      readonly until: number
    }
  /** A master has exited. */
  | { readonly what: 'exit'; readonly target: number; readonly isPlanned: boolean; readonly how: string }
  /** The task of a schedule's tick was added to the database. */
  | { readonly what: 'tick'; readonly id: string; readonly schedule: string }
  /**
   * The schedules that the database has at the end: of this app, and of another. `expected`: those of the masters that
   * may have started last.
   */
  | {
      readonly what: 'schedules'
      readonly own: string
      readonly other: string
      readonly expected: readonly string[]
    }
  /** A task that is still in the queue after the drain. */
  | ({ readonly what: 'left'; readonly state: string; readonly error: Failure | null } & TaskName)
  /** How long the queue took to become empty after the last attack. */
  | { readonly what: 'drain'; readonly milliseconds: number; readonly isComplete: boolean }
  /** A process that should have exited by now. */
  | { readonly what: 'survivor'; readonly target: number; readonly command: string }

/** `at`: milliseconds of the monotonic clock that all processes of the machine share. */
export type Entry = { readonly at: number; readonly pid: number } & Fact
export type EntryOf<What extends Fact['what']> = Extract<Entry, { what: What }>

export type Write = (fact: Fact) => void

/** Opens this process's file of the log. */
export function openLog(folder: string, role: Role): Write {
  // Pids are reused in a long run.
  const name = `${String(process.pid)}-${String(process.hrtime.bigint())}.jsonl`
  const file = openSync(path.join(folder, name), 'a')
  const write: Write = fact => {
    appendFileSync(file, `${JSON.stringify({ at: monotonicNow(), pid: process.pid, ...fact })}\n`)
  }
  write({ what: 'process', role, parent: process.ppid })
  return write
}

/** All entries of all processes, in the order of time. */
export function readLog(folder: string): Entry[] {
  const lines = readdirSync(folder).flatMap(name => readFileSync(path.join(folder, name), 'utf8').split('\n'))
  return lines.flatMap(parse).sort((a, b) => a.at - b.at)
}

/** Skips a last line that is incomplete because its process died while it wrote. */
function parse(line: string): Entry[] {
  try {
    return [JSON.parse(line) as Entry]
  } catch {
    return []
  }
}

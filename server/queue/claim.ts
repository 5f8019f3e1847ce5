/** What a claim is, and how it may be settled: all that the pool knows of the queue. */
import type { WireError, WireValue } from '../../common/pipe/wire'
import type { PlainValue } from '../../common/plain'
import type { LogLine, Task, TaskFailure } from '../../common/task'
import type { StoredResult } from './stored-result'

/** A task that this master has claimed, and the token that every later write about it must match. */
export interface Claim {
  readonly task: Task
  /** Unique to this claim, and never used again. */
  readonly token: string
  /** In-memory claims have no lease: they die with their master. */
  readonly inMemory: boolean
  /** The task was rescued from a master that may be alive and may still try to settle it. */
  readonly isTakenOver: boolean
  /** `TaskQueue.cancel` was called after the task was claimed and before this master read it. */
  readonly isCancelRequested: boolean
}

/** Decides how many more tasks of a type may be claimed. */
export interface Rooms {
  /** @returns Infinity if nothing limits the type, 0 or less if none may be claimed */
  roomOf(taskType: string): number
}

/** The counters that a settlement changes. A counter that is left out keeps its value. */
export type Counts = Partial<Pick<Task, 'attempts' | 'failures' | 'crashes'>>

/** What a release changes on the task. */
export interface Release {
  /** Whether the task function was called. If not, the claim does not count as an attempt. */
  readonly hasStarted: boolean
  /** How many workers have died while they ran the task, if that has changed. */
  readonly crashes?: number
  /** The task runs alone from now on: see `Task.isSuspect`. */
  readonly isSuspect?: true
  /** Milliseconds until the task may be claimed again. Default 0. */
  readonly delay?: number
}

export interface Done {
  readonly kind: 'done'
  readonly value: WireValue
  /** Milliseconds for which the task is kept and its `_id` is taken; undefined: not at all. */
  readonly keepDone: number | undefined
  /** Its result as it is stored, if the task is kept, for whatever reason; undefined if it leaves the queue. */
  readonly kept: StoredResult | undefined
}

/** How a claim is to be settled. A cancel request overrides all of these. */
export type Settlement =
  /** The job is done: the task leaves the queue, or is kept with its result. */
  | Done
  /** No attempt is left: the task stays in the queue as `failed`. Those who wait for its end get the `wire`. */
  | { readonly kind: 'failed'; readonly error: TaskFailure; readonly wire: WireError; readonly counts: Counts }
  /** The attempt failed, and the next is due in `delay` milliseconds. */
  | { readonly kind: 'retried'; readonly error: TaskFailure; readonly counts: Counts; readonly delay: number }
  /** The job did not finish: the task may be claimed again. */
  | ({ readonly kind: 'released' } & Release)
  /** The task was cancelled, and its job has ended or never started. */
  | { readonly kind: 'cancelled'; readonly hasStarted: boolean }

/** The fields of a task that its job reports while it runs. */
export interface ReportFields {
  /** When the last attempt started, by the clock of the master. */
  readonly startedAt?: Date
  readonly progress?: PlainValue
  readonly log?: readonly LogLine[]
}

export interface SettleRequest {
  readonly claim: Claim
  readonly settlement: Settlement
  /** What the job has reported, and is not stored yet. */
  readonly report: ReportFields
  /**
   * When the lease expires, on this master's monotonic clock. A renewal moves it, even while the settlement is being
   * written.
   */
  readonly leaseEndsAt: () => number
}

/** Why a claim is void: no task carries its token any more. Nothing was written. */
export type Loss =
  /** Somebody removed the task. It may have been added again under the same `_id`. */
  | 'removed'
  /** The lease expired, and another master released or claimed the task. */
  | 'takenOver'
  /** As `takenOver`, but the other master found a cancel request and cancelled the task. */
  | 'cancelledElsewhere'

/** How settling a claim turned out: settled as asked, cancelled (as asked or by a request), or lost. */
export type Verdict = 'settled' | 'cancelled' | Loss

export function isLoss(verdict: Verdict): verdict is Loss {
  return verdict !== 'settled' && verdict !== 'cancelled'
}

/** Settles persistent claims. */
export interface ClaimStore {
  /**
   * Settles many claims in as few writes as possible.
   *
   * @returns one verdict for each request, in their order
   * @throws when the database does not answer (rejects): any of the settlements may have been written
   */
  settleAll(requests: readonly SettleRequest[]): Promise<readonly Verdict[]>
  /**
   * Settles one claim, which an earlier write may have settled already.
   *
   * @param firstSentAt when a write of unknown effect was first sent, if there was one (monotonic clock)
   * @throws as `settleAll`
   */
  settleOne(request: SettleRequest, firstSentAt?: number): Promise<Verdict>
}

/** Stores what running jobs report. */
export interface ReportStore {
  /**
   * Writes each report to its task, unless the task no longer carries the token of the claim.
   *
   * @throws when the database does not answer (rejects)
   */
  report(reports: readonly { readonly claim: Claim; readonly fields: ReportFields }[]): Promise<void>
}

/** A task as `TaskQueue.cancel` left it, and the token of its claim if it is running. */
export interface Cancellation {
  readonly task: Task
  readonly token: string | undefined
}

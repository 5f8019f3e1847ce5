/** The only door between the queue and what runs its tasks: what a claim is, and what may become of it. */
import type { Task, TaskFailure } from '../../common/task'

/** A task taken for this master, and the token that every later write about it must match. */
export interface Claim {
  readonly task: Task
  /** Unique to this claim, and never used again. */
  readonly token: string
  /** In-memory claims have no lease: they die with their master. */
  readonly inMemory: boolean
  /** The claim was taken from a master that may still live, and may still try to settle the task. */
  readonly isTakenOver: boolean
  /** `TaskQueue.cancel` was called after the task was claimed and before this master read it. */
  readonly isCancelRequested: boolean
}

/** The counters that a settlement changes; a counter that is not named stays as it is. */
export type Counts = Partial<Pick<Task, 'attempts' | 'failures' | 'crashes'>>

/** What releasing a claim changes about its task. */
export interface Release {
  /** Whether the task function was called. If not, the claim counts as no attempt. */
  readonly hasStarted: boolean
  /** How many workers have died while they ran the task, if that has changed. */
  readonly crashes?: number
  /** The task runs alone from now on: see Task. */
  readonly isSuspect?: true
  /** Milliseconds until the task may be claimed again. Default 0. */
  readonly delay?: number
}

/** What is to become of a claimed task. A request to cancel it wins over all of these. */
export type Settlement =
  /** The job is done: the task leaves the queue. */
  | { readonly kind: 'done' }
  /** No attempt is left: the task stays, `failed`. */
  | { readonly kind: 'failed'; readonly error: TaskFailure; readonly counts: Counts }
  /** The attempt failed, and the next is due in `delay` milliseconds. */
  | { readonly kind: 'retried'; readonly error: TaskFailure; readonly counts: Counts; readonly delay: number }
  /** The job did not finish: the task may be claimed again. */
  | ({ readonly kind: 'released' } & Release)
  /** The task was cancelled, and its job has ended or never started. */
  | { readonly kind: 'cancelled'; readonly hasStarted: boolean }

export interface SettleRequest {
  readonly claim: Claim
  readonly settlement: Settlement
  /** When the lease runs out, on the monotonic clock of this master, as far as it was renewed by now. */
  readonly leaseEndsAt: number
}

/** Why a claim is void: its task carries another token, or none. Nothing was written. */
export type Loss =
  /** Somebody removed the task; it may have been added again under its `_id`. */
  | 'removed'
  /** The lease ran out, and another master released or claimed the task. */
  | 'takenOver'
  /** As `takenOver`, and the other master found a request to cancel the task. */
  | 'cancelledElsewhere'

/** What became of a claimed task: settled as asked, cancelled as asked or because of a request, or lost. */
export type Verdict = 'settled' | 'cancelled' | Loss

export function isLoss(verdict: Verdict): verdict is Loss {
  return verdict !== 'settled' && verdict !== 'cancelled'
}

/** Where persistent claims are settled. */
export interface ClaimStore {
  /**
   * Settles many claims in as few writes as possible.
   *
   * @returns one verdict for each request, in their order
   * @throws when the database does not answer (rejects): each settlement may be written or not
   */
  settleAll(requests: readonly SettleRequest[]): Promise<readonly Verdict[]>
  /**
   * Settles one claim, which may be settled already.
   *
   * @param firstSentAt when a write of unknown effect was first sent, if there was one; on the monotonic clock
   * @throws as `settleAll`
   */
  settleOne(request: SettleRequest, firstSentAt?: number): Promise<Verdict>
}

/** A task as `TaskQueue.cancel` left it, and the token of its claim if it is running. */
export interface Cancellation {
  readonly task: Task
  readonly token: string | undefined
}

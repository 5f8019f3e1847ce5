import type { Task, TaskFailure } from '../../common/task'

/** A task taken for this master, and the token that every later write about it must match. */
export interface Claim {
  readonly task: Task
  /** Unique to this claim, and never used again. */
  readonly token: string
  /** The queue that the task came from, and goes back to. */
  readonly store: ClaimStore
  /** Whether it was taken from a master that may still live, and may still try to end it. */
  readonly isTakenOver?: boolean
}

/** What has become of the task of a claim that is no longer valid. */
export type Fate = 'removed' | 'cancelled' | 'taken'

/** What the end of a job changes in its task's counts; what is not named stays. */
export type Counts = Partial<Pick<Task, 'attempts' | 'failures' | 'crashes'>>

/** What giving a task back changes about it; it may be claimed again. */
export interface Release {
  /** Whether its function was called. Otherwise the claim counts as no attempt. */
  readonly hasStarted: boolean
  /** How often a worker has died while it ran the task, if that has changed. */
  readonly crashes?: number
  /** Its worker died while it ran others too: see Task. */
  readonly isSuspect?: true
}

/** How a claim ends. */
export type Ending =
  /** The job is done: the task leaves the queue. */
  | { readonly kind: 'completed' }
  /** There is no other attempt: the task stays, `failed`. */
  | { readonly kind: 'failed'; readonly error: TaskFailure; readonly counts: Counts }
  /** The attempt failed, and the next is due in `delay` milliseconds. */
  | { readonly kind: 'retried'; readonly error: TaskFailure; readonly counts: Counts; readonly delay: number }
  /** The job did not end: the task may be claimed again. */
  | ({ readonly kind: 'released' } & Release)

export interface ClaimEnd {
  readonly claim: Claim
  readonly ending: Ending
}

/** A task that was cancelled, as it was, and the token of the claim that this cut short, if it was running. */
export interface Cancelled {
  readonly task: Task
  readonly token: string | undefined
}

/** Where claims end, in either queue. */
export interface ClaimStore {
  /** Whether a claim must be renewed, or is lost. In-memory tasks die with their master. */
  readonly hasLeases: boolean
  /**
   * Writes the ends of these claims: all that it can in one write.
   *
   * @returns those that are written; the task of another no longer carries its token (it was removed or cancelled, or somebody else
   * holds it now), and nothing was changed
   * @throws when that is not known of all of them (rejects): each may be written or not
   */
  end(ends: readonly ClaimEnd[]): Promise<ReadonlySet<Claim>>
  /** Writes the end of a claim that may be written already. @returns whether it is */
  endAgain(end: ClaimEnd): Promise<boolean>
  /** Why this claim is not valid any more. */
  fateOf(claim: Claim): Promise<Fate>
}

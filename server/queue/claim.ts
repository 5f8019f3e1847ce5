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
}

/** A task that was cancelled, as it was, and the token of the claim that this cut short, if it was running. */
export interface Cancelled {
  readonly task: Task
  readonly token: string | undefined
}

/**
 * How a claim ends, in either queue. Each write resolves to false, having changed nothing, when the task no longer carries the
 * claim's token: it was removed or cancelled, or somebody else holds it now.
 */
export interface ClaimStore {
  /** The job is done: the task leaves the queue. */
  complete(claim: Claim): Promise<boolean>
  /** There is no other attempt: the task stays, `failed`. */
  fail(claim: Claim, error: TaskFailure, counts: Counts): Promise<boolean>
  /** The attempt failed, and the next is due in `delay` milliseconds. */
  retry(claim: Claim, error: TaskFailure, counts: Counts, delay: number): Promise<boolean>
  /** The job did not end: the task may be claimed again. */
  release(claim: Claim, change: Release): Promise<boolean>
  /** Whether the task is gone from the queue, as `complete` would have it. */
  isCompleted(claim: Claim): Promise<boolean>
  /** Whether the task carries this very error, as `fail` and `retry` would have it. */
  isRecorded(claim: Claim, error: TaskFailure): Promise<boolean>
  /** Why this claim is not valid any more. */
  fateOf(claim: Claim): Promise<Fate>
}

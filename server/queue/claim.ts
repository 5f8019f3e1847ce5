import type { Task, TaskFailure } from '../../common/task'

/** A task taken for this master, and the token that every later write about it must match. */
export interface Claim {
  readonly task: Task
  /** Unique to this claim, and never used again. */
  readonly token: string
  /** The queue that the task came from, and goes back to. */
  readonly store: ClaimStore
}

/**
 * How a claim ends, in either queue. Each resolves to false, having changed nothing, when the task no longer carries the
 * claim's token: it was removed, or somebody else holds it now.
 */
export interface ClaimStore {
  /** The job is done: the task leaves the queue. */
  complete(claim: Claim): Promise<boolean>
  /** The job failed: the task stays, `failed`. */
  fail(claim: Claim, error: TaskFailure): Promise<boolean>
  /**
   * The job did not end: the task may be claimed again.
   *
   * @param crashes how often a worker has died while it ran the task, if that has changed
   */
  release(claim: Claim, crashes?: number): Promise<boolean>
  /** Whether the task is gone from the queue, as `complete` would have it. */
  isCompleted(claim: Claim): Promise<boolean>
  /** Whether the task has failed with this very error, as `fail` would have it. */
  isFailed(claim: Claim, error: TaskFailure): Promise<boolean>
}

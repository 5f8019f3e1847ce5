import type { Job } from './task'

/** What a task says to the master. */
export interface IpcMessage {
  /** An integer above 1: 0 and 1 were the original's own. */
  readonly status: number
  readonly data?: unknown
}

/**
 * The master's side of a conversation: called for each message of a task, with the task that sent it. The first call
 * of `respond` is the answer; what it throws, or rejects with, rejects the conversation in the task.
 */
export type MessageBroker = (respond: (answer?: unknown) => void, message: IpcMessage, task: Job) => unknown

/**
 * The second argument of every task function: opens a conversation with the master. `initialize` gets the function that
 * sends a message; `broker` gets the answer, and what it returns (another `toggleIPC` too) is what the promise resolves
 * to. Return the promise from the task function, or the task counts as done before the answer is there.
 *
 * Rejects with NoMessageBrokerError without a broker on the master, with UnsendableValueError or InvalidArgumentError
 * for a message or an answer that cannot be sent, and with what the broker on either side throws.
 */
export type ToggleIPC = <Result>(
  broker: (answer: unknown) => Result | PromiseLike<Result>,
  initialize: (sendMessageToMaster: (message: IpcMessage) => void) => unknown,
) => Promise<Result>

/** The third argument of every task function: about this run of the task. */
export interface JobContext {
  /**
   * Aborted when the job should end early: its `reason` is a TaskTimeoutError, TaskCancelledError, LeaseLostError or
   * ClusterStoppedError. A job that has not ended within the `abortGrace` of the cluster is killed, and its worker with
   * it.
   */
  readonly signal: AbortSignal
  /** Which run of this task it is, from 1. Runs that were cut short by a crash count too. */
  readonly attempt: number
  /**
   * Unique to this run, and never used again: a fencing token, or a name for what it writes. The value of no earlier or
   * later run of the task.
   */
  readonly token: string
}

/**
 * What an entry of the task map does: runs a task, in a worker. What it returns or resolves to is the `value` of the
 * `done` event; what it throws or rejects with fails the attempt.
 */
export type TaskFunction<Data = unknown, Result = unknown> = (
  job: Job<Data>,
  toggleIPC: ToggleIPC,
  context: JobContext,
) => Result | PromiseLike<Result>

import type { Job } from './task'

/** A message from a task to the master. */
export interface IpcMessage {
  /** An integer above 1: the original package used 0 and 1 itself. */
  readonly status: number
  readonly data?: unknown
}

/**
 * The master's side of a conversation. It is called for each message of a task, with the task that sent it. The first
 * call of `respond` is the answer. If the broker throws or rejects, the conversation in the task rejects with that
 * error.
 */
export type MessageBroker = (respond: (answer?: unknown) => void, message: IpcMessage, task: Job) => unknown

/**
 * The second argument of every task function: opens a conversation with the master. `initialize` gets the function that
 * sends a message. `onAnswer` gets the answer. The promise resolves to what `onAnswer` returns, which may be another
 * `toggleIPC`. Return the promise from the task function; otherwise the task counts as done before the answer arrives.
 *
 * Rejects with NoMessageBrokerError if the master has no `messageBroker`, with UnsendableValueError or
 * InvalidArgumentError if a message or an answer cannot be sent, and with what `onAnswer` or the `messageBroker`
 * throws.
 */
export type ToggleIPC = <Result>(
  onAnswer: (answer: unknown) => Result | PromiseLike<Result>,
  initialize: (sendMessageToMaster: (message: IpcMessage) => void) => unknown,
) => Promise<Result>

/** The third argument of every task function: describes this attempt. */
export interface JobContext {
  /**
   * Aborted when the job should finish early. Its `reason` is a TaskTimeoutError, TaskCancelledError, LeaseLostError or
   * ClusterStoppedError. If the job does not finish within the `abortGrace` of the cluster, its worker is killed.
   */
  readonly signal: AbortSignal
  /** The number of this attempt, from 1. Attempts that a crash cut short count, too. */
  readonly attempt: number
  /**
   * Unique to this attempt, and never used again. Use it as a fencing token, or as a name for what the attempt writes.
   */
  readonly token: string
  /**
   * Reports how far the job is: any value that data may hold, at most 16 KB. It is stored as the task's `progress`,
   * within half a second; the last value wins. The master emits `'progress'` within a tenth of a second.
   *
   * @throws InvalidArgumentError
   */
  readonly progress: (value: unknown) => void
  /**
   * Appends a line to the task's `log`, which keeps the last 200 lines, 64 KB at most. It is stored within two seconds.
   *
   * @throws InvalidArgumentError if `text` is not a string
   */
  readonly log: (text: string) => void
}

/**
 * A function of the task map: runs a task, in a worker. What it returns or resolves to is the `value` of the `done`
 * event. If it throws or rejects, the attempt fails.
 */
export type TaskFunction<Data = unknown, Result = unknown> = (
  job: Job<Data>,
  toggleIPC: ToggleIPC,
  context: JobContext,
) => Result | PromiseLike<Result>

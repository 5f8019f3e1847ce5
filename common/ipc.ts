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

/**
 * One entry of the task map: runs a task, in a worker. What it returns or resolves to is the `value` of the `done` event;
 * what it throws or rejects with fails the task.
 */
export type TaskFunction<Data = unknown, Result = unknown> = (
  job: Job<Data>,
  toggleIPC: ToggleIPC,
) => Result | PromiseLike<Result>

/**
 * The functions of an application's tasks, by `taskType`. Declared as a method so that a function for a narrower
 * `Job<Data>` is accepted: what a task's data holds is only known where it is added.
 */
export interface TaskMap {
  readonly [taskType: string]: { run(job: Job, toggleIPC: ToggleIPC): unknown }['run']
}

/**
 * The package's error classes.
 *
 * Every error of the package has a `name` and a `code`. An error that comes from another process gets its class back by
 * these (server/revive.ts).
 */

import { DELAY_ALLOWED, isDelay } from './delay'
import { describe, isError, messageOf, quote, read } from './inspect'
import { cutText } from './text'

export { describe, isError, messageOf, read, textOf, toError } from './inspect'

/**
 * An error without a stack: the place in our code that creates it says nothing. Besides, Meteor loads all source maps
 * to format a stack, which blocks the event loop for 190 ms.
 */
class StacklessError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    super(message, options)
    Error.stackTraceLimit = stackTraceLimit
  }
}

/** Each `code` of the package begins with this. */
export const OWN_CODE_PREFIX = 'ERR_CLUSTER_'

/** The name of a field may be megabytes. */
const MAX_FIELD_CHARACTERS = 300

/** An argument, option or task field that is not allowed. Nothing was stored or sent. */
export class InvalidArgumentError extends TypeError {
  override readonly name = 'InvalidArgumentError'
  readonly code = 'ERR_CLUSTER_INVALID_ARGUMENT'
  /** The field at fault, for instance `addTask.priority`. */
  readonly field: string

  /**
   * @param allowed what is allowed, in a few words
   * @param hint a sentence that says what to do, or ''
   */
  constructor(field: string, given: unknown, allowed: string, hint = '', problem = `is ${describe(given)}`) {
    const where = cutText(field, MAX_FIELD_CHARACTERS)
    const advice = hint === '' ? '' : ` ${cutText(hint, MAX_FIELD_CHARACTERS)}`
    super(`nschwarz:cluster: ${where} ${problem}; allowed: ${allowed}.${advice}`)
    this.field = where
  }
}

/**
 * Tasks with these `_id`s are already in the queue. They were not stored; the other tasks of an `addTasks` were, unless
 * the duplicates are in memory.
 */
export class DuplicateTaskError extends Error {
  override readonly name = 'DuplicateTaskError'
  readonly code = 'ERR_CLUSTER_DUPLICATE_TASK'
  readonly taskIds: readonly string[]

  constructor(taskIds: readonly string[], options?: ErrorOptions) {
    const named = taskIds.slice(0, NAMED_DUPLICATES).map(quote).join(', ')
    const more = taskIds.length > NAMED_DUPLICATES ? ` and ${String(taskIds.length - NAMED_DUPLICATES)} more` : ''
    super(
      `nschwarz:cluster: a task with the _id ${named}${more} is already in the queue; ` +
        'remove it first, or choose another _id.',
      options,
    )
    this.taskIds = taskIds
  }
}

/** How many `_id`s the message names, so that it stays readable. `taskIds` has all of them. */
const NAMED_DUPLICATES = 5

/** The data of a task does not fit the schema of its type. It was not stored, or the task has failed without a run. */
export class InvalidDataError extends TypeError {
  override readonly name = 'InvalidDataError'
  readonly code = 'ERR_CLUSTER_INVALID_DATA'
  /** What is wrong, for instance `data.numbers.0: Expected number`. */
  readonly issues: readonly string[]

  /** @param where the call and the index, if several tasks were given */
  constructor(taskType: string, issues: readonly string[], where?: string) {
    const named = issues.slice(0, NAMED_ISSUES).join('; ')
    const more = issues.length > NAMED_ISSUES ? `; and ${String(issues.length - NAMED_ISSUES)} more` : ''
    const at = where === undefined ? '' : `${where}: `
    const which = `${at}the data of a task of type ${quote(taskType)}`
    super(`nschwarz:cluster: ${which} does not fit its schema (${named}${more}); give what the schema takes.`)
    this.issues = issues
  }
}

const NAMED_ISSUES = 5

/** The call is not possible in this process: in a worker, without a `new Cluster`, or with a second one. */
export class WrongProcessError extends Error {
  override readonly name = 'WrongProcessError'
  readonly code = 'ERR_CLUSTER_WRONG_PROCESS'

  constructor(message: string) {
    super(`nschwarz:cluster: ${message}`)
  }
}

/** The task map of the worker has no function for this task's type. */
export class UnknownTaskTypeError extends Error {
  override readonly name = 'UnknownTaskTypeError'
  readonly code = 'ERR_CLUSTER_UNKNOWN_TASK_TYPE'

  constructor(taskType: string, known: readonly string[]) {
    super(
      `nschwarz:cluster: the task map has no function for the taskType ${quote(taskType)}; ` +
        `it has: ${known.map(quote).join(', ') || 'none'}.`,
    )
  }
}

/** A worker died each time that it ran this task. The task has failed, so that it kills no more workers. */
export class WorkerCrashError extends StacklessError {
  override readonly name = 'WorkerCrashError'
  readonly code = 'ERR_CLUSTER_WORKER_CRASH'
  /** How often a worker died while it ran the task. */
  readonly crashes: number

  /**
   * @param maxCrashes the option
   * @param how the last worker died, for instance `signal SIGKILL`
   * @param stderrTail the last lines that it wrote to stderr
   */
  constructor(crashes: number, maxCrashes: number, how: string, stderrTail: string) {
    super(
      `nschwarz:cluster: the worker died while it ran this task (${how}), crash ${String(crashes)} of ${String(maxCrashes)}; ` +
        `the task is not run again. ${stderrTail === '' ? 'It wrote nothing to stderr.' : `Its last lines:\n${stderrTail}`}`,
    )
    this.crashes = crashes
  }
}

/** An attempt took longer than the task's `timeout`. */
export class TaskTimeoutError extends StacklessError {
  override readonly name = 'TaskTimeoutError'
  readonly code = 'ERR_CLUSTER_TASK_TIMEOUT'

  /** @param timeout milliseconds */
  constructor(timeout: number, options?: ErrorOptions) {
    super(
      `nschwarz:cluster: the attempt took longer than the task's timeout of ${String(timeout)} ms; ` +
        'let it end when its signal is aborted, or give it more time.',
      options,
    )
  }
}

/**
 * Thrown by a task function: the task fails without further attempts. The `'error'` event and `TaskQueue.run` get the
 * error that was given, or this one if a message was given.
 */
export class TaskFatalError extends Error {
  override readonly name = 'TaskFatalError'
  readonly code = FATAL_CODE

  constructor(messageOrError: string | Error) {
    super(messageOf(messageOrError), isError(messageOrError) ? { cause: messageOrError } : undefined)
  }
}

const FATAL_CODE = 'ERR_CLUSTER_TASK_FATAL'

/**
 * Thrown by a task function: the task is requeued, and the attempt is not counted as a failure. There is no event and
 * no limit on how often a task may do this.
 */
export class RetryLaterError extends Error {
  override readonly name = 'RetryLaterError'
  readonly code = RETRY_LATER_CODE
  /** Milliseconds until the next attempt. */
  readonly delay: number

  /**
   * @param delay milliseconds until the next attempt, from 0 to 2^52
   * @throws InvalidArgumentError
   */
  constructor(delay: number) {
    if (!isDelay(delay)) throw new InvalidArgumentError('RetryLaterError.delay', delay, DELAY_ALLOWED)
    super(`nschwarz:cluster: the task asked for another attempt in ${String(delay)} ms.`)
    this.delay = delay
  }
}

const RETRY_LATER_CODE = 'ERR_CLUSTER_RETRY_LATER'

/** What a task function asks for by the error that it throws. The `code` decides, so the class may be another copy. */
export type Wish =
  { readonly kind: 'fatal'; readonly error: Error } | { readonly kind: 'later'; readonly delay: number }

export function wishIn(error: Error): Wish | undefined {
  if (withoutWishes.has(error)) return undefined
  const code = read(error, 'code')
  if (code === FATAL_CODE) {
    const cause = read(error, 'cause')
    return { kind: 'fatal', error: isError(cause) ? cause : error }
  }
  const delay = code === RETRY_LATER_CODE ? read(error, 'delay') : undefined
  return isDelay(delay) ? { kind: 'later', delay } : undefined
}

const withoutWishes = new WeakSet<Error>()

/**
 * A job that rethrows the error of another task asks for nothing by it: only that task's own job did.
 *
 * @returns the same error, in which `wishIn` finds nothing any more
 */
export function withoutWish(error: Error): Error {
  withoutWishes.add(error)
  return error
}

/** Why a job's `signal` is aborted: its task was cancelled. */
export class TaskCancelledError extends StacklessError {
  override readonly name = 'TaskCancelledError'
  readonly code = 'ERR_CLUSTER_TASK_CANCELLED'

  constructor() {
    super('nschwarz:cluster: the task was cancelled; what its job reports is ignored.')
  }
}

/** Why a job's `signal` is aborted: its master did not renew the lease in time, so another may run the task. */
export class LeaseLostError extends StacklessError {
  override readonly name = 'LeaseLostError'
  readonly code = 'ERR_CLUSTER_LEASE_LOST'

  constructor() {
    super('nschwarz:cluster: the lease of this task was lost, and another may run it; what its job reports is ignored.')
  }
}

/** Why a job's `signal` is aborted: the cluster stops. The task runs again from the beginning. */
export class ClusterStoppedError extends StacklessError {
  override readonly name = 'ClusterStoppedError'
  readonly code = 'ERR_CLUSTER_STOPPED'

  constructor() {
    super('nschwarz:cluster: the cluster stops; the task runs again, from the beginning, where one is running.')
  }
}

/** A conversation opened with `toggleIPC` got no answer: there is no `messageBroker` on the master. */
export class NoMessageBrokerError extends Error {
  override readonly name = 'NoMessageBrokerError'
  readonly code = 'ERR_CLUSTER_NO_MESSAGE_BROKER'

  constructor() {
    super(
      'nschwarz:cluster: the master has no messageBroker to answer this task; ' +
        'give one to the constructor: new Cluster(taskMap, { messageBroker }).',
    )
  }
}

/** A `TaskQueue.run` or `TaskQueue.result` has waited for its `timeout`. The task goes on. */
export class WaitTimeoutError extends Error {
  override readonly name = 'WaitTimeoutError'
  readonly code = 'ERR_CLUSTER_WAIT_TIMEOUT'
  readonly taskId: string

  /** @param timeout milliseconds */
  constructor(taskId: string, timeout: number) {
    super(
      `nschwarz:cluster: the task ${quote(taskId)} has not ended within the timeout of ${String(timeout)} ms. It goes on; ` +
        'wait for it again by TaskQueue.result.',
    )
    this.taskId = taskId
  }
}

/** The task that was waited for is not in the queue any more, and nobody knows how it ended. */
export class TaskRemovedError extends Error {
  override readonly name = 'TaskRemovedError'
  readonly code = 'ERR_CLUSTER_TASK_REMOVED'
  readonly taskId: string

  constructor(taskId: string) {
    super(
      `nschwarz:cluster: the task ${quote(taskId)} is not in the queue. It was removed, or it is done and was not kept: ` +
        'add it by TaskQueue.run, or give it a keepDone.',
    )
    this.taskId = taskId
  }
}

/** The most characters of another error's message that are quoted: it may show the whole value. */
const MAX_REASON_CHARACTERS = 500

const SENDABLE = 'what structured clone keeps (no functions, symbols, promises), at most 500 levels deep and 192 MB'

/** A value (a result, a message, an answer) holds something that cannot be sent to another process. */
export class UnsendableValueError extends TypeError {
  override readonly name = 'UnsendableValueError'
  readonly code = 'ERR_CLUSTER_UNSENDABLE_VALUE'

  constructor(what: string, cause: unknown, allowed = SENDABLE) {
    const reason = cutText(messageOf(cause), MAX_REASON_CHARACTERS)
    super(`nschwarz:cluster: ${what} cannot be sent to another process (${reason}); allowed: ${allowed}.`, { cause })
  }
}

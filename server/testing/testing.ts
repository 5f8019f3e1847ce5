import { Meteor } from 'meteor/meteor'
import { WrongProcessError } from '../../common/errors'
import type { AcceptedType, DataOf, ResultOf } from '../../common/register'
import type { Task, TaskState } from '../../common/task'
import type * as Helpers from './helpers'

/**
 * Helpers for the tests of an application, which run its tasks in the process of the test: no worker is forked, and
 * schedules have no ticks. Each throws a WrongProcessError (rejects) unless the process is a test: `meteor test`,
 * `meteor test --full-app` or `meteor test-packages`.
 */
export const testing = {
  /**
   * Sets when tasks run, and forgets what was added before. Real workers that run are killed.
   *
   * @param mode `inline`: `addTask` and `addTasks` resolve when all tasks that are due have run; within a job they do
   * not wait. `manual`: tasks run when `drain` is called
   * @throws InvalidArgumentError (rejects) for any other mode
   */
  async mode(mode: Helpers.TestingMode): Promise<void> {
    await (await helpers()).setMode(mode)
  },

  /**
   * Runs all tasks that are due, including those that they add, and waits for them. Retries that are due later, and
   * paused types, are left.
   */
  async drain(): Promise<void> {
    await (await helpers()).drain()
  },

  /**
   * Runs a task function once, outside of the queue, as a worker would: with its schema, a context, the messageBroker,
   * and with data and result copied as through the pipe.
   *
   * @returns what the function returns
   * @throws what the function throws (rejects); InvalidArgumentError or InvalidDataError for wrong data;
   * UnknownTaskTypeError if the task map has no such type
   */
  async perform<Result = unknown, const Type extends string = string>(
    // eslint-disable-next-line @typescript-eslint/no-duplicate-type-constituents -- they differ with registered types
    taskType: Type & AcceptedType<Type>,
    data: DataOf<Type>,
  ): Promise<ResultOf<Type, Result>> {
    return (await (await helpers()).perform(taskType, data)) as ResultOf<Type, Result>
  },

  /**
   * @param expected fields of a task; objects within it may have more fields than expected
   * @returns the first task that was added since `mode`, and that has these fields
   * @throws an Error that lists the tasks that were added (rejects), if none matches
   */
  async assertAdded(expected: Helpers.TaskMatch): Promise<Task> {
    return (await helpers()).assertAdded(expected)
  },

  /**
   * Waits until a task with these fields has reached a state, or has been in it since `mode`.
   *
   * @param timeout milliseconds; default 10,000
   * @throws an Error after `timeout` (rejects)
   */
  async waitFor(expected: Helpers.TaskMatch, state: TaskState, timeout?: number): Promise<Task> {
    return (await helpers()).waitFor(expected, state, timeout)
  },
}

/** Loaded when it is first used. */
async function helpers(): Promise<typeof Helpers> {
  // Meteor's types lack `isPackageTest`.
  const { isAppTest, isPackageTest = false, isTest } = Meteor as typeof Meteor & { readonly isPackageTest?: boolean }
  if (isTest || isAppTest || isPackageTest) return import('./helpers')
  throw new WrongProcessError(
    'testing is for tests: this process was not started by meteor test or meteor test-packages.',
  )
}

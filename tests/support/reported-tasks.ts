import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { Meteor } from 'meteor/meteor'
import * as cluster from 'meteor/nschwarz:cluster'
import {
  type Job,
  type JobContext,
  RetryLaterError,
  type TaskMap,
  TaskQueue,
  type ToggleIPC,
} from 'meteor/nschwarz:cluster'
import { hold } from './attempt-tasks'

class Money {
  readonly amount = 5
}

type ErrorClass = abstract new () => Error

/** @returns its name, and whether it is of that class, if the package exports it, or a `Meteor.Error` */
function classOf(error: unknown): [string, boolean] {
  const { name } = error as Error
  const own = (cluster as unknown as Partial<Record<string, ErrorClass>>)[name] ?? Meteor.Error
  return [name, error instanceof own]
}

/** As the guide says: with the signal of the job, and an `_id` that is derived from its own. */
function waitForChild(job: Job, _toggleIPC: ToggleIPC, { signal }: JobContext): Promise<unknown> {
  return TaskQueue.run({ taskType: 'holdAsChild', data: {}, _id: `child of ${job._id}` }, { signal })
}

/** What the users of other queues have reported as faulty there. */
export const reportedTasks: TaskMap = {
  waitForChild: { run: waitForChild, retries: 3, backoff: 1 },
  /** Held until it is released; aborted with its signal. */
  holdAsChild: async (job, toggleIPC, { signal }) => {
    await Promise.race([hold(job, toggleIPC), once(signal, 'abort')])
    if (signal.aborted) throw new Error('the child was aborted')
    return 'of the child'
  },
  /** Waits for many tasks at once. */
  runTwenty: async (job, _toggleIPC, { signal }) => {
    const others = Array.from({ length: 20 }, (_, n) => ({
      taskType: 'echo',
      data: {},
      _id: `${job._id}-${String(n)}`,
    }))
    await Promise.all(others.map(task => TaskQueue.run(task, { signal })))
  },
  /** @returns of which class the reason is */
  reasonOfAbort: async (_job, _toggleIPC, { signal }) => {
    if (!signal.aborted) await once(signal, 'abort')
    return classOf(signal.reason)
  },
  /** Asks the messageBroker what its data says. @returns the answer, or of which class the error is */
  askBroker: (job, toggleIPC) =>
    toggleIPC(
      answer => answer,
      send => {
        send({ status: 2, data: job.data })
      },
    ).catch(classOf),
  postponeAtOnce: async (_job, _toggleIPC, { attempt }) => {
    await pause(5)
    if (attempt < 100) throw new RetryLaterError(0)
  },
  failWithRichMeteorError: () => {
    const error = new Meteor.Error('no-funds', 'refused', 'card 7')
    throw Object.assign(error, { cause: new Error('the cause'), code: 'E_CARD', retryAfter: 30 })
  },
  failWithPlainObject: () => {
    // eslint-disable-next-line @typescript-eslint/only-throw-error -- as clients of APIs do
    throw { message: 'card refused', code: 'E_CARD' }
  },
  asInstance: () => ({ paid: [new Money()] }),
  asUrl: () => new URL('https://example.com/'),
}

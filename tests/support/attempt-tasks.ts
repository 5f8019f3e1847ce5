import { setTimeout as pause } from 'node:timers/promises'
import {
  RetryLaterError,
  TaskFatalError,
  TaskQueue,
  type Job,
  type JobContext,
  type NewTask,
  type TaskMap,
  type ToggleIPC,
} from 'meteor/nschwarz:cluster'

/** Asks the test for leave to end: see `RemoteMaster.held`. */
export function hold(job: Job, toggleIPC: ToggleIPC): Promise<unknown> {
  return toggleIPC(
    answer => answer,
    send => {
      send({ status: 2, data: { ask: 'hold', pid: process.pid, taskId: job._id } })
    },
  )
}

/** Tells the test that it runs, and says on its standard output why it was told to end. */
async function holdUntilAborted(job: Job, toggleIPC: ToggleIPC, { signal }: JobContext): Promise<never> {
  void hold(job, toggleIPC).catch(() => undefined)
  await new Promise(resolve => {
    signal.addEventListener('abort', resolve)
  })
  const { name, code } = signal.reason as { name: string; code: string }
  console.log(`${job._id} was aborted: ${name} ${code}`)
  throw new Error('ended early')
}

/** Says on its standard output why it was told to end, and goes on until the test releases it. */
async function outliveAbort(job: Job, toggleIPC: ToggleIPC, { signal }: JobContext): Promise<string> {
  signal.addEventListener('abort', () => {
    const { name, code } = signal.reason as { name: string; code: string }
    console.log(`${job._id} was aborted: ${name} ${code}`)
  })
  await hold(job, toggleIPC)
  if ((job.data as { fails?: boolean }).fails === true) throw new Error('failed after all')
  return 'succeeded after all'
}

/** Cancels tasks once the test releases it. @returns what each cancel resolved to */
async function holdThenCancel(job: Job, toggleIPC: ToggleIPC): Promise<boolean[]> {
  await hold(job, toggleIPC)
  const { ids } = job.data as { ids: string[] }
  return Promise.all(ids.map(_id => TaskQueue.cancel(_id)))
}

/** Asks its master a question after a while. */
async function askLater(job: Job, toggleIPC: ToggleIPC): Promise<unknown> {
  await pause((job.data as { milliseconds: number }).milliseconds)
  return toggleIPC(
    answer => answer,
    send => {
      send({ status: 2, data: { ask: 'echo', value: 'answered' } })
    },
  )
}

export function failUntil(job: Job, _toggleIPC: ToggleIPC, { attempt }: JobContext): number {
  if (attempt < (job.data as { attempt: number }).attempt) throw new Error(`attempt ${String(attempt)} failed`)
  return attempt
}

/** Tasks about attempts: which one it is, how it is limited, and how it ends early. */
export const attemptTasks: TaskMap = {
  hold,
  failUntil,
  failUntilByType: { run: failUntil, retries: 2, backoff: (failures, error) => failures + error.message.length },
  throwingBackoff: {
    run: failUntil,
    retries: 1,
    backoff: () => {
      throw new Error('the backoff threw')
    },
  },
  /** Asks for another attempt until the one that its data names. */
  postponeUntil: (job, _toggleIPC, { attempt }) => {
    const { attempt: last, delay } = job.data as { attempt: number; delay: number }
    if (attempt < last) throw new RetryLaterError(delay)
    return attempt
  },
  /** As another copy of the package would throw it. */
  postponeByCode: (_job, _toggleIPC, { attempt }) => {
    if (attempt === 1) throw Object.assign(new Error('later'), { code: 'ERR_CLUSTER_RETRY_LATER', delay: 1 })
    return attempt
  },
  postponeWrongly: () => {
    throw Object.assign(new Error('not a number'), { code: 'ERR_CLUSTER_RETRY_LATER', delay: -1 })
  },
  failFatally: {
    retries: 5,
    backoff: 1,
    run: job => {
      const { withError } = job.data as { withError?: boolean }
      throw new TaskFatalError(withError === true ? new RangeError('the given error') : 'the card was refused')
    },
  },
  context: (_job, _toggleIPC, { attempt, token, signal }) => ({ attempt, token, aborted: signal.aborted }),
  holdThenTellAttempt: async (job, toggleIPC, { attempt }) => {
    await hold(job, toggleIPC)
    return attempt
  },
  holdUntilAborted,
  outliveAbort,
  holdThenCancel,
  askLater,
  timedOut: { run: holdUntilAborted, timeout: 50 },
  /** Succeeds after it was told to end. */
  endsLate: async (job, toggleIPC, context) => {
    await holdUntilAborted(job, toggleIPC, context).catch(() => undefined)
    return 'ended late'
  },
  /** Adds a task while nothing else happens. */
  holdAddHold: async (job, toggleIPC) => {
    await hold(job, toggleIPC)
    await TaskQueue.addTask(job.data as NewTask)
    await hold(job, toggleIPC)
  },
  cancel: job => TaskQueue.cancel((job.data as { _id: string })._id),
  /** Does not listen, and does not end. */
  stubborn: async (job, toggleIPC) => {
    await hold(job, toggleIPC)
    await new Promise(() => undefined)
  },
  sayThenDie: async () => {
    console.error('first words\nlast words')
    process.kill(process.pid, 'SIGKILL')
    await pause(60_000)
  },
}

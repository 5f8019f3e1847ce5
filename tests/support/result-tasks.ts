import { Meteor } from 'meteor/meteor'
import {
  TaskQueue,
  type Job,
  type JobContext,
  type NewTask,
  type StandardSchema,
  type TaskMap,
  type ToggleIPC,
} from 'meteor/nschwarz:cluster'
import { hold } from './attempt-tasks'

async function runOther(job: Job, _toggleIPC: ToggleIPC, { signal }: JobContext): Promise<unknown> {
  return TaskQueue.run(job.data as NewTask, { signal })
}

/** A schema as libraries have them: `{ at: text }` becomes `{ at: Date }`. */
export function schemaOf(isAsynchronous: boolean): StandardSchema<{ at: string }, { at: Date }> {
  const validate = (value: unknown) => {
    const { at } = value as { at?: unknown }
    if (at === 'throw') throw new Error('the schema is broken')
    return typeof at === 'string'
      ? { value: { at: new Date(at) } }
      : { issues: [{ message: 'Expected text', path: ['at', { key: 0 }] }, { message: 'No data' }] }
  }
  return {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: value => (isAsynchronous ? Promise.resolve(value).then(validate) : validate(value)),
    },
  }
}

let parsed = 0

/** Tasks about results: those that wait for others, and those with results of all kinds. */
export const resultTasks: TaskMap = {
  runOther,
  /** @returns what became of each */
  runOthers: async job => {
    const outcomes = await Promise.allSettled((job.data as NewTask[]).map(task => TaskQueue.run(task)))
    return outcomes.map(outcome => (outcome.status === 'fulfilled' ? outcome.value : (outcome.reason as Error).name))
  },
  resultOfOther: job => TaskQueue.result((job.data as { _id: string })._id),
  /** Waits for a task when its own job is over. */
  runAfterwards: () => {
    setTimeout(() => {
      TaskQueue.run({ taskType: 'nothing', data: {} }).catch((error: unknown) => {
        console.log(`refused afterwards: ${(error as Error).name}`)
      })
    }, 10)
  },
  keptByType: { run: job => job.data, keepDone: 3_600_000 },
  keptShortly: { run: job => job.data, keepDone: 1, keepFailed: 3_600_000 },
  failKept: {
    run: () => {
      throw new Error('broken')
    },
    keepFailed: 3_600_000,
  },
  failWithMeteorError: () => {
    throw new Meteor.Error('no-funds', 'The card was refused', 'card 7')
  },
  asMap: () => new Map([['key', 1]]),
  asError: () => new RangeError('as a result'),
  inPlain: () => ({ at: new Date(7), bytes: Buffer.from('x'), left: undefined, list: [null, 1.5] }),
  bytes: async (job, toggleIPC) => {
    if ((job.data as { held?: boolean }).held === true) await hold(job, toggleIPC)
    return 'x'.repeat((job.data as { bytes: number }).bytes)
  },
  holdThenMap: async (job, toggleIPC) => {
    await hold(job, toggleIPC)
    return new Map()
  },
  pid: () => process.pid,
  parsed: {
    schema: schemaOf(false),
    retries: 2,
    backoff: 1,
    run: (job: Job<{ at: Date }>) => [job.data.at instanceof Date, job.data.at.getTime(), ++parsed],
  },
  parsedLater: { schema: schemaOf(true), run: (job: Job<{ at: Date }>) => job.data.at.getTime() },
  traced: () => undefined,
  addMany: job => TaskQueue.addTasks(job.data as NewTask[]),
  listenByOn: () => {
    TaskQueue.on('done', () => undefined)
  },
}

/** Accepted and rejected uses where a task map is registered: compiled, never run. */
import {
  Cluster,
  TaskQueue,
  type Job,
  type JobContext,
  type StandardSchema,
  type ToggleIPC,
} from 'meteor/nschwarz:cluster'

declare const schema: StandardSchema<{ at: string }, { at: Date }>

export const taskMap = {
  sum: (job: Job<{ numbers: number[] }>) => job.data.numbers.length,
  mail: { run: (job: Job<{ to: string }>) => Promise.resolve(job.data.to), retries: 3, perMaster: 2 },
  nothing: () => null,
  // A task that awaits another, and one that returns what addTask gives.
  twice: async (job: Job<{ numbers: number[] }>) => {
    const count = await TaskQueue.run({ taskType: 'sum', data: job.data })
    return count * 2
  },
  follow: (job: Job<{ to: string }>) => TaskQueue.addTask({ taskType: 'mail', data: job.data }),
  inline: (_job: Job, _toggleIPC: ToggleIPC, { signal }: JobContext) => signal.aborted,
  parsed: { run: (job: Job<{ at: Date }>) => job.data.at.getTime(), schema },
} as const

declare module 'meteor/nschwarz:cluster' {
  interface Register {
    tasks: typeof taskMap
  }
}

export async function accepted(anyType: string): Promise<unknown> {
  const count: number = await TaskQueue.run({ taskType: 'sum', data: { numbers: [1] } })
  const to: string = await TaskQueue.run({ taskType: 'mail', data: { to: 'ada' } }, { timeout: 1000 })
  const doubled: number = await TaskQueue.run({ taskType: 'twice', data: { numbers: [] } })
  const id: string = await TaskQueue.run({ taskType: 'follow', data: { to: 'ada' } })
  const none: null = await TaskQueue.run({ taskType: 'nothing', data: {} })
  const at: number = await TaskQueue.run({ taskType: 'parsed', data: { at: '2026-01-01' } })
  const aborted: boolean = await TaskQueue.run({ taskType: 'inline', data: {}, priority: 2 })
  const unknownResult: unknown = await TaskQueue.run({ taskType: anyType, data: { any: 1 } })
  await TaskQueue.addTask({ taskType: anyType, data: { any: 1 } })
  await TaskQueue.addTask({ taskType: 'sum', data: { numbers: [1] }, dueDate: new Date(), keepDone: 5 })
  await TaskQueue.addTasks([
    { taskType: 'sum', data: { numbers: [1] } },
    { taskType: 'sum', data: { numbers: [2] } },
  ])
  TaskQueue.on('done', ({ value, task }) => value.toFixed(task.data.numbers.length), { taskType: 'sum' })
  TaskQueue.addEventListener('error', ({ value }) => value.code)
  new Cluster(taskMap, {
    schedules: {
      nightly: { taskType: 'mail', data: { to: 'ada' }, cron: '30 2 * * *', timeZone: 'Europe/Berlin', retries: 2 },
      poll: { taskType: 'nothing', every: 60_000, overlap: 'queue', catchUp: 'none' },
      parsed: { taskType: 'parsed', data: { at: '2026-01-01' }, cron: '@daily' },
    },
  })
  await TaskQueue.pause('mail')
  await TaskQueue.resume(anyType)
  return [count, to, doubled, id, none, at, aborted, unknownResult]
}

export async function rejected(): Promise<void> {
  // @ts-expect-error -- there is no such type
  await TaskQueue.addTask({ taskType: 'summ', data: { numbers: [1] } })
  // @ts-expect-error -- data does not fit
  await TaskQueue.addTask({ taskType: 'sum', data: { numbers: ['1'] } })
  // @ts-expect-error -- data is missing
  await TaskQueue.addTask({ taskType: 'sum' })
  // @ts-expect-error -- the schema takes a text
  await TaskQueue.addTask({ taskType: 'parsed', data: { at: new Date() } })
  // @ts-expect-error -- there is no such field
  await TaskQueue.addTask({ taskType: 'sum', data: { numbers: [1] }, prioritty: 1 })
  // @ts-expect-error -- the result is a number
  const text: string = await TaskQueue.run({ taskType: 'sum', data: { numbers: [1] } })
  // @ts-expect-error -- there is no such type
  TaskQueue.on('done', () => text, { taskType: 'summ' })
  // @ts-expect-error -- there is no such type
  await TaskQueue.pause('mial')
  // @ts-expect-error -- there is no such type
  new Cluster(taskMap, { schedules: { a: { taskType: 'mial', data: { to: 'ada' }, cron: '@daily' } } })
  // @ts-expect-error -- data does not fit
  new Cluster(taskMap, { schedules: { a: { taskType: 'mail', data: { to: 1 }, cron: '@daily' } } })
  // @ts-expect-error -- data is missing
  new Cluster(taskMap, { schedules: { a: { taskType: 'mail', cron: '@daily' } } })
  // @ts-expect-error -- neither cron nor every
  new Cluster(taskMap, { schedules: { a: { taskType: 'nothing' } } })
  // @ts-expect-error -- cron and every
  new Cluster(taskMap, { schedules: { a: { taskType: 'nothing', cron: '@daily', every: 1000 } } })
  // @ts-expect-error -- a time zone belongs to cron
  new Cluster(taskMap, { schedules: { a: { taskType: 'nothing', every: 1000, timeZone: 'UTC' } } })
  // @ts-expect-error -- a tick has a due date of its own
  new Cluster(taskMap, { schedules: { a: { taskType: 'nothing', every: 1000, dueDate: new Date() } } })
  // @ts-expect-error -- data does not fit
  await TaskQueue.addTasks([{ taskType: 'sum', data: {} }])
}

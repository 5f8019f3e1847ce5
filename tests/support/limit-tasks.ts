import { setTimeout as pause } from 'node:timers/promises'
import {
  TaskQueue,
  type Job,
  type JobContext,
  type NewTask,
  type TaskMap,
  type ToggleIPC,
} from 'meteor/nschwarz:cluster'
import { failUntil, hold } from './attempt-tasks'
import type { ScheduleMethod } from './remote-protocol'
import { schemaOf } from './result-tasks'

/** How many jobs of a limited type one master runs at once. */
export const LIMIT = 2

/** @returns when it ran: from and to, in milliseconds on a clock that all processes share */
async function span(job: Job): Promise<[number, number]> {
  const now = () => Number(process.hrtime.bigint()) / 1e6
  const startedAt = now()
  await pause((job.data as { milliseconds: number }).milliseconds)
  return [startedAt, now()]
}

/** Does what its data says. */
function limitedToOne(job: Job, toggleIPC: ToggleIPC, context: JobContext): unknown {
  const { does, add } = job.data as { does: 'hold' | 'die' | 'failUntil' | 'add'; add?: NewTask }
  switch (does) {
    case 'hold':
      return hold(job, toggleIPC)
    case 'die':
      return process.kill(process.pid, 'SIGKILL')
    case 'failUntil':
      return failUntil(job, toggleIPC, context)
    case 'add':
      return add && TaskQueue.addTask(add)
  }
}

/** Fails once. @returns which tick of which schedule it is of, and when it was due */
function tell({ dueDate, schedule, tickAt }: Job, _toggleIPC: ToggleIPC, { attempt }: JobContext): Partial<Job> {
  if (attempt === 1) throw new Error('the first attempt fails')
  return { dueDate, schedule, tickAt }
}

/** Types with a limit, and tasks of schedules and pauses. */
export const limitTasks: TaskMap = {
  /** Its worker closes its pipe when the job is over, and does not exit. @returns the worker's pid */
  disconnects: () => {
    process.removeAllListeners('disconnect')
    setTimeout(() => {
      process.disconnect()
    }, 50)
    return process.pid
  },
  /** As Node does when it can connect to no address of a host. */
  failToConnect: () => {
    throw new AggregateError([new Error('connect ECONNREFUSED ::1:9'), new Error('and again')])
  },
  /** Awaits nothing of what it begins, during the job or after it. */
  leaveWaits: job => {
    const begin = {
      'a run that times out': () => TaskQueue.run({ taskType: 'limitedHold', data: {} }, { timeout: 50 }),
      'a run that fails': () => TaskQueue.run({ taskType: 'failToConnect', data: {} }),
      'a result': () => TaskQueue.result('tomorrow', { timeout: 50 }),
    }[(job.data as { what: 'a run that times out' | 'a run that fails' | 'a result' }).what]
    void begin()
    setTimeout(() => void begin(), 50)
  },
  /** `LIMIT` at once on a master. */
  limitedHold: { run: hold, perMaster: LIMIT },
  limitedSpan: { run: span, perMaster: LIMIT },
  limitedToOne: { run: limitedToOne, perMaster: 1, retries: 2, backoff: 1 },
  /** Asks for the result of a task when the job is over. */
  resultAfterwards: job => {
    const { _id } = job.data as { _id: string }
    setTimeout(() => {
      TaskQueue.result(_id).catch((error: unknown) => {
        console.log(`the result of ${_id}: ${(error as Error).name}`)
      })
    }, 50)
  },
  onSchedule: job => {
    const { method, name } = job.data as { method: ScheduleMethod; name: string }
    return TaskQueue[method](name)
  },
  tell: { run: tell, retries: 1, backoff: 10 },
  textOnly: { run: () => undefined, schema: schemaOf(false) },
  setPaused: job => {
    const { isPaused, taskType } = job.data as { isPaused: boolean; taskType: string }
    return isPaused ? TaskQueue.pause(taskType) : TaskQueue.resume(taskType)
  },
}

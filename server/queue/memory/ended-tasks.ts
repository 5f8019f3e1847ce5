/** What the end of a claim makes of a task in memory that stays. */
import type { Task } from '../../../common/task'
import type { Ending, Release } from '../claim'

export function retriedTask(task: Task, { counts, error, delay }: Extract<Ending, { kind: 'retried' }>): Task {
  return { ...task, ...counts, error, dueDate: new Date(Date.now() + delay) }
}

export function releasedTask(task: Task, { hasStarted, crashes, isSuspect }: Release): Task {
  const { attempts = 1 } = task
  return {
    ...task,
    attempts: hasStarted ? attempts : attempts - 1,
    ...(crashes === undefined ? {} : { crashes }),
    ...(isSuspect === undefined ? {} : { isSuspect }),
  }
}

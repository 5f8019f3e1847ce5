import type { Job } from './task'

export type LogLevel = 'all' | 'error'

/** Where the package says what it does: tasks, and the cluster itself. */
export interface Log {
  /** A step in a task's life; silent at the level `error`. */
  task(task: Pick<Job, 'taskType' | '_id'>, text: string): void
  /** Something went wrong with a task. */
  taskError(task: Pick<Job, 'taskType' | '_id'>, text: string): void
  warn(text: string): void
  error(text: string): void
}

/** Writes to the console's stream for each severity. */
export function createLog(level: LogLevel): Log {
  return {
    task: (task, text) => {
      if (level === 'all') console.log(taskLine(new Date(), task, text))
    },
    taskError: (task, text) => {
      console.error(taskLine(new Date(), task, text))
    },
    warn: text => {
      console.warn(clusterLine(new Date(), 'WARNING', text))
    },
    error: text => {
      console.error(clusterLine(new Date(), 'ERROR', text))
    },
  }
}

/** `${timestamp}:nschwarz:cluster:${taskType}:${taskId}`, a tab, and what happened. */
export function taskLine(at: Date, task: Pick<Job, 'taskType' | '_id'>, text: string): string {
  return `${at.toISOString()}:nschwarz:cluster:${task.taskType}:${task._id}\t${text}`
}

function clusterLine(at: Date, severity: 'WARNING' | 'ERROR', text: string): string {
  return `${at.toISOString()}:nschwarz:cluster:${severity}\t${text}`
}

import { Batch } from './batch'
import type { Job } from './task'

export type LogLevel = 'all' | 'error'

/** Where the package says what it does: tasks, and the cluster itself. */
export interface Log {
  /** A step in a task's life; silent at the level `error`. */
  task(task: Pick<Job, 'taskType' | '_id'>, text: string): void
  /** Writes the steps that are still to be written, before something that may block this process, or end it. */
  flush(): void
  /** Something went wrong with a task. */
  taskError(task: Pick<Job, 'taskType' | '_id'>, text: string): void
  warn(text: string): void
  error(text: string): void
}

/**
 * Writes to the console's stream for each severity. Steps of tasks are written together, at the end of the turn in which they were
 * taken or before: a write each would cost more than a short job.
 */
export function createLog(level: LogLevel): Log {
  const steps = new Batch<string>(lines => {
    console.log(lines.join('\n'))
  })
  const flush = () => {
    steps.flush()
  }
  return {
    task: (task, text) => {
      if (level === 'all') steps.add(taskLine(new Date(), task, text))
    },
    flush,
    taskError: (task, text) => {
      flush()
      console.error(taskLine(new Date(), task, text))
    },
    warn: text => {
      flush()
      console.warn(clusterLine(new Date(), 'WARNING', text))
    },
    error: text => {
      flush()
      console.error(clusterLine(new Date(), 'ERROR', text))
    },
  }
}

/** `${timestamp}:nschwarz:cluster:${taskType}:${taskId}`, a tab, and what happened. */
export function taskLine(at: Date, task: Pick<Job, 'taskType' | '_id'>, text: string): string {
  return `${timestamp(at)}:nschwarz:cluster:${task.taskType}:${task._id}\t${text}`
}

function clusterLine(at: Date, severity: 'WARNING' | 'ERROR', text: string): string {
  return `${timestamp(at)}:nschwarz:cluster:${severity}\t${text}`
}

let last = { at: Number.NaN, text: '' }

/** Short jobs have several lines in a millisecond. */
function timestamp(at: Date): string {
  if (at.getTime() !== last.at) last = { at: at.getTime(), text: at.toISOString() }
  return last.text
}

import { Batch } from './batch'
import { describe } from './inspect'
import type { Job } from './task'
import { cutText, toIndentedLines, toOneLine } from './text'

/** Of a type or an `_id` in a line, and of what happened: both may be megabytes. */
const MAX_NAME_CHARACTERS = 512
const MAX_LINE_CHARACTERS = 2 ** 16

export type LogLevel = 'all' | 'error'

/**
 * Where the package says what it does: tasks, and the cluster itself. A text may hold names and messages of anybody: it
 * is written on one line, with control characters escaped. `details` (a stack) keep their line breaks; the lines after
 * the first are indented.
 */
export interface Log {
  /** A step in a task's life; silent at the level `error`. */
  task(task: Pick<Job, 'taskType' | '_id'>, text: string): void
  /** Writes the steps that are still to be written, before something that may block this process, or end it. */
  flush(): void
  /** Something went wrong with a task. */
  taskError(task: Pick<Job, 'taskType' | '_id'>, text: string, details?: string): void
  warn(text: string): void
  error(text: string, details?: string): void
}

/**
 * Writes to the console's stream for each severity. Steps of tasks are written together, at the end of the turn in
 * which they were taken or before: a write each would cost more than a short job.
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
    taskError: (task, text, details) => {
      flush()
      console.error(taskLine(new Date(), task, text, details))
    },
    warn: text => {
      flush()
      console.warn(clusterLine(new Date(), 'WARNING', text))
    },
    error: (text, details) => {
      flush()
      console.error(clusterLine(new Date(), 'ERROR', text, details))
    },
  }
}

/** `${timestamp}:nschwarz:cluster:${taskType}:${taskId}`, a tab, and what happened. */
export function taskLine(
  at: Date,
  { taskType, _id }: Pick<Job, 'taskType' | '_id'>,
  text: string,
  details?: string,
): string {
  return line(at, `${nameIn(taskType)}:${nameIn(_id)}`, text, details)
}

function clusterLine(at: Date, severity: 'WARNING' | 'ERROR', text: string, details?: string): string {
  return line(at, severity, text, details)
}

function line(at: Date, subject: string, text: string, details?: string): string {
  const more = details === undefined ? '' : `: ${toIndentedLines(cutText(details, MAX_LINE_CHARACTERS))}`
  return `${timestamp(at)}:nschwarz:cluster:${subject}\t${toOneLine(cutText(text, MAX_LINE_CHARACTERS))}${more}`
}

/** A document that somebody wrote by hand may have anything there. */
function nameIn(value: unknown): string {
  return toOneLine(cutText(typeof value === 'string' ? value : describe(value), MAX_NAME_CHARACTERS))
}

let last = { at: Number.NaN, text: '' }

/** Short jobs have several lines in a millisecond. */
function timestamp(at: Date): string {
  if (at.getTime() !== last.at) last = { at: at.getTime(), text: at.toISOString() }
  return last.text
}

import { Batch } from './batch'
import { describe, messageOf, textOf, toError } from './inspect'
import { inOwnContext } from './own-context'
import type { Task } from './task'
import { cutText, toIndentedLines, toOneLine } from './text'

/** A type, an `_id` and a message may each be megabytes long. */
const MAX_NAME_CHARACTERS = 512
const MAX_LINE_CHARACTERS = 2 ** 16

export type LogLevel = 'info' | 'warn' | 'error'

/**
 * What happened to a task: an event of `TaskQueue.addEventListener`, or one of two more. `started`: its worker is about
 * to call the task function. `released`: it is requeued without an outcome of its own.
 */
export type LogEvent = 'started' | 'done' | 'retry' | 'error' | 'cancelled' | 'stalled' | 'released'

/** One entry of the log. */
export interface LogEntry {
  readonly level: LogLevel
  readonly timestamp: Date
  /** What happened, on one line, without the timestamp, the task and the stack. */
  readonly message: string
  /** The task that the entry is about, if there is one. */
  readonly taskType?: string
  readonly taskId?: string
  /** The number of the attempt, from 1; 0 for a task that never started. */
  readonly attempt?: number
  /** Undefined for a warning or an error that is not an outcome. */
  readonly event?: LogEvent
  /**
   * How long the task function ran. Set with `done`; with `retry` and `error` only if the function finished by itself.
   */
  readonly milliseconds?: number
  readonly error?: Error
}

/**
 * Where entries go: to the console (`'all'`, or `'error'` for warnings and errors only), or to a function of the
 * application. The function is called in the process in which the entry arises. What it throws or rejects with stops
 * nothing.
 */
export type LogTarget = 'all' | 'error' | ((entry: LogEntry) => unknown)

export type LoggedTask = Pick<Task, 'taskType' | '_id' | 'attempts'>

/** An event of a task, before it is an entry. */
export interface TaskEntry extends Pick<LogEntry, 'milliseconds' | 'error'> {
  readonly level: LogLevel
  /** Undefined for an outcome that has no event. */
  readonly event: LogEvent | undefined
  readonly text: string
}

/**
 * The log of the package. Texts may contain names and messages from anybody, so each is written on one line, with
 * control characters escaped. The stack of an error keeps its line breaks; the lines after the first are indented.
 */
export interface Log {
  /** What happened to a task. */
  task(task: LoggedTask, entry: TaskEntry): void
  /** Something about a task went wrong, but its outcome is unchanged. */
  taskError(task: LoggedTask, text: string, error?: unknown): void
  info(text: string): void
  warn(text: string): void
  error(text: string, error?: unknown): void
}

export function createLog(target: LogTarget): Log {
  const sink = typeof target === 'function' ? functionSink(target) : consoleSink(target)
  const write = (level: LogLevel, text: string, task?: LoggedTask, details?: Partial<TaskEntry>) => {
    if (sink.isSilent(level)) return
    // Written out, since a short job takes no longer than to copy an object of these.
    sink.write({
      level,
      timestamp: new Date(),
      message: toMessage(text),
      taskType: task?.taskType,
      taskId: task?._id,
      attempt: task && (task.attempts ?? 0),
      event: details?.event,
      milliseconds: details?.milliseconds,
      error: details?.error,
    })
  }
  const withError = (error: unknown) => (error === undefined ? undefined : { error: toError(error) })
  return {
    task: (task, entry) => write(entry.level, entry.text, task, entry),
    taskError: (task, text, error) => write('error', text, task, withError(error)),
    info: text => write('info', text),
    warn: text => write('warn', text),
    error: (text, error) => write('error', text, undefined, withError(error)),
  }
}

interface Sink {
  /** Whether entries of this level are not written. */
  readonly isSilent: (level: LogLevel) => boolean
  readonly write: (entry: LogEntry) => void
}

/**
 * Writes to the console's stream for each level. `info` lines are collected, and written together at the end of the
 * turn or earlier: one write each would cost more than a short job.
 */
function consoleSink(target: 'all' | 'error'): Sink {
  const lines = new Batch<string>(batch => {
    console.log(batch.join('\n'))
  })
  const write = (entry: LogEntry) => {
    if (entry.level === 'info') {
      lines.add(lineOf(entry))
      return
    }
    lines.flush()
    if (entry.level === 'warn') console.warn(lineOf(entry))
    else console.error(lineOf(entry))
  }
  return { isSilent: level => level === 'info' && target === 'error', write }
}

function functionSink(target: (entry: LogEntry) => unknown): Sink {
  const { write: writeToConsole } = consoleSink('all')
  const failed = (entry: LogEntry, thrown: unknown) => {
    // The console gets what the function could not write.
    writeToConsole(entry)
    const message = toMessage(`the logs function threw: ${messageOf(thrown)}`)
    writeToConsole({ level: 'error', timestamp: entry.timestamp, message })
  }
  const write = (entry: LogEntry) => {
    try {
      Promise.resolve(inOwnContext(() => target(copyOf(entry)))).catch((thrown: unknown) => {
        failed(entry, thrown)
      })
    } catch (thrown) {
      failed(entry, thrown)
    }
  }
  return { isSilent: () => false, write }
}

/** Without the fields that it does not have. The receiver may change it. */
function copyOf(entry: LogEntry): LogEntry {
  const present = Object.entries(entry).filter(([, value]) => value !== undefined)
  return { ...(Object.fromEntries(present) as unknown as LogEntry), timestamp: new Date(entry.timestamp) }
}

/**
 * `${timestamp}:nschwarz:cluster:${taskType}:${taskId}`, a tab, and what happened. An entry without a task has its
 * level instead of the type and the id.
 */
export function lineOf({ level, timestamp, taskType, taskId, message, error }: LogEntry): string {
  const subject = taskId === undefined ? LEVEL_NAMES[level] : `${nameIn(taskType)}:${nameIn(taskId)}`
  // A retry already names its error in the message.
  const details = error === undefined || level !== 'error' ? undefined : detailsOf(error)
  const more = details === undefined ? '' : `: ${toIndentedLines(cutText(details, MAX_LINE_CHARACTERS))}`
  return `${textOfDate(timestamp)}:nschwarz:cluster:${subject}\t${message}${more}`
}

const LEVEL_NAMES: Readonly<Record<LogLevel, string>> = { info: 'INFO', warn: 'WARNING', error: 'ERROR' }

function toMessage(text: string): string {
  return toOneLine(cutText(text, MAX_LINE_CHARACTERS))
}

/** A document that other code wrote may hold any value here. */
function nameIn(value: unknown): string {
  return toOneLine(cutText(typeof value === 'string' ? value : describe(value), MAX_NAME_CHARACTERS))
}

let last = { at: Number.NaN, text: '' }

/** Caches the last text: short jobs log several lines within a millisecond. */
function textOfDate(date: Date): string {
  if (date.getTime() !== last.at) last = { at: date.getTime(), text: date.toISOString() }
  return last.text
}

/** The stack of an AggregateError often begins without a message. */
function detailsOf(error: Error): string {
  const [message, stack] = [messageOf(error), textOf(error, 'stack')]
  if (stack === undefined) return message
  return textOf(error, 'message') === '' && message !== '' ? `${message}\n${stack}` : stack
}

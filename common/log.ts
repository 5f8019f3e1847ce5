import { Batch } from './batch'
import { describe, messageOf, textOf, toError } from './inspect'
import type { Task } from './task'
import { cutText, toIndentedLines, toOneLine } from './text'

/** A type, an `_id` and a message may each be megabytes. */
const MAX_NAME_CHARACTERS = 512
const MAX_LINE_CHARACTERS = 2 ** 16

export type LogLevel = 'info' | 'warn' | 'error'

/**
 * What happened to a task. The events of `TaskQueue.addEventListener`, and besides: `started`, in the worker that calls
 * its function; `released`, when it goes back to the queue without an outcome of its own.
 */
export type LogEvent = 'started' | 'done' | 'retry' | 'error' | 'cancelled' | 'stalled' | 'released'

/** One entry of the log. */
export interface LogEntry {
  readonly level: LogLevel
  readonly timestamp: Date
  /** What happened, on one line: without timestamp, task and stack. */
  readonly message: string
  /** The task that the entry is about, if it is about one. */
  readonly taskType?: string
  readonly taskId?: string
  /** Which run of the task it is, from 1; 0 for a task that never started. */
  readonly attempt?: number
  /** Undefined for a warning or an error that is not an outcome. */
  readonly event?: LogEvent
  /** How long the task function ran: with `done`, and with `retry` and `error` if it returned. */
  readonly milliseconds?: number
  readonly error?: Error
}

/**
 * Where entries go: to the console, all of them or warnings and errors only, or to a function of the application's. It
 * is called in the process where the entry arises; what it throws or rejects with stops nothing.
 */
export type LogTarget = 'all' | 'error' | ((entry: LogEntry) => unknown)

export type LoggedTask = Pick<Task, 'taskType' | '_id' | 'attempts'>

/** An event of a task, before it is an entry. */
export interface TaskEntry extends Pick<LogEntry, 'milliseconds' | 'error'> {
  readonly level: LogLevel
  readonly event: LogEvent
  readonly text: string
}

/**
 * Where the package reports what it does. A text may hold names and messages of anybody: it is written on one line, with
 * control characters escaped. The stack of an error keeps its line breaks; the lines after the first are indented.
 */
export interface Log {
  /** What happened to a task. */
  task(task: LoggedTask, entry: TaskEntry): void
  /** Something about a task went wrong, and its outcome is unchanged. */
  taskError(task: LoggedTask, text: string, error?: unknown): void
  info(text: string): void
  warn(text: string): void
  error(text: string, error?: unknown): void
  /** Writes what is still to be written, before something that may block this process or end it. */
  flush(): void
}

export function createLog(target: LogTarget): Log {
  const { write, flush } = typeof target === 'function' ? functionSink(target) : consoleSink(target)
  const writeNow = (entry: Omit<LogEntry, 'timestamp'>) => write({ timestamp: new Date(), ...entry })
  return {
    task: (task, { text, ...entry }) => writeNow({ ...entry, ...about(task), message: toMessage(text) }),
    taskError: (task, text, error) =>
      writeNow({ level: 'error', ...about(task), message: toMessage(text), ...withError(error) }),
    info: text => writeNow({ level: 'info', message: toMessage(text) }),
    warn: text => writeNow({ level: 'warn', message: toMessage(text) }),
    error: (text, error) => writeNow({ level: 'error', message: toMessage(text), ...withError(error) }),
    flush,
  }
}

interface Sink {
  readonly write: (entry: LogEntry) => void
  readonly flush: () => void
}

/**
 * Writes to the console's stream for each level. Lines of level `info` are written together, at the end of the turn in
 * which they arise or before: a write each would cost more than a short job.
 */
function consoleSink(target: 'all' | 'error'): Sink {
  const lines = new Batch<string>(batch => {
    console.log(batch.join('\n'))
  })
  const flush = () => {
    lines.flush()
  }
  const write = (entry: LogEntry) => {
    if (entry.level === 'info') {
      if (target === 'all') lines.add(lineOf(entry))
      return
    }
    flush()
    if (entry.level === 'warn') console.warn(lineOf(entry))
    else console.error(lineOf(entry))
  }
  return { write, flush }
}

function functionSink(target: (entry: LogEntry) => unknown): Sink {
  const { write: writeToConsole } = consoleSink('error')
  const failed = (entry: LogEntry, thrown: unknown) => {
    // What the function could not write is not lost.
    writeToConsole(entry)
    const message = toMessage(`the logs function threw: ${messageOf(thrown)}`)
    writeToConsole({ level: 'error', timestamp: entry.timestamp, message })
  }
  const write = (entry: LogEntry) => {
    try {
      Promise.resolve(target(entry)).catch((thrown: unknown) => {
        failed(entry, thrown)
      })
    } catch (thrown) {
      failed(entry, thrown)
    }
  }
  return { write, flush: () => undefined }
}

/**
 * `${timestamp}:nschwarz:cluster:${taskType}:${taskId}`, a tab, and what happened. Entries that are about no task have
 * their level instead.
 */
export function lineOf({ level, timestamp, taskType, taskId, message, error }: LogEntry): string {
  const subject = taskId === undefined ? LEVEL_NAMES[level] : `${nameIn(taskType)}:${nameIn(taskId)}`
  // The outcome of a task that has retries left names its error in the message.
  const details = error === undefined || level !== 'error' ? undefined : (textOf(error, 'stack') ?? messageOf(error))
  const more = details === undefined ? '' : `: ${toIndentedLines(cutText(details, MAX_LINE_CHARACTERS))}`
  return `${textOfDate(timestamp)}:nschwarz:cluster:${subject}\t${message}${more}`
}

const LEVEL_NAMES: Readonly<Record<LogLevel, string>> = { info: 'INFO', warn: 'WARNING', error: 'ERROR' }

function about({ taskType, _id, attempts }: LoggedTask): Pick<LogEntry, 'taskType' | 'taskId' | 'attempt'> {
  return { taskType, taskId: _id, attempt: attempts ?? 0 }
}

function withError(error: unknown): Pick<LogEntry, 'error'> {
  return error === undefined ? {} : { error: toError(error) }
}

function toMessage(text: string): string {
  return toOneLine(cutText(text, MAX_LINE_CHARACTERS))
}

/** A document that somebody wrote by hand may have anything there. */
function nameIn(value: unknown): string {
  return toOneLine(cutText(typeof value === 'string' ? value : describe(value), MAX_NAME_CHARACTERS))
}

let last = { at: Number.NaN, text: '' }

/** Short jobs have several lines in a millisecond. */
function textOfDate(date: Date): string {
  if (date.getTime() !== last.at) last = { at: date.getTime(), text: date.toISOString() }
  return last.text
}

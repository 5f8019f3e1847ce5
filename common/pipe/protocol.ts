/**
 * Every message between master and worker: two closed unions. This is the only thing that the two sides share.
 *
 * The pipe is the JSON channel of process.fork; values in messages are encoded (codec.ts). Meteor and the application
 * may use the same pipe. Our messages come in an envelope, several at once; everything else is left alone.
 */
import { type Encoded, decode, encode, isEncoded } from './codec'
import { isDelay } from '../delay'
import { wrongValue } from '../invalid'
import { copyPlain, findBsonType } from '../plain'
import type { Report } from '../report'
import { type Job, type TaskSignal, tickOf } from '../task'
import { type WireError, type WireValue, isRecord, isWireError, isWireValue } from './wire'

/** Set in a worker's environment, and nowhere else: names the master that forked it. */
export const WORKER_VARIABLE = 'NSCHWARZ_CLUSTER_WORKER'

/** A job as it travels: its data encoded, its dates as milliseconds. */
export interface WireJob extends Omit<Job, 'data' | 'createdAt' | 'dueDate' | 'tickAt'> {
  readonly data: Encoded
  readonly createdAt: number
  readonly dueDate: number
  readonly tickAt?: number
}

/** A `TaskSignal` as it travels. `dueDate`: milliseconds. */
export interface WireSignal extends Omit<TaskSignal, 'dueDate'> {
  readonly dueDate: number
}

export type ToWorker =
  /**
   * Start this job as soon as a slot is free, but not at or after `startBefore` (monotonic clock): another master may
   * run it by then. `token` names the job in every message about it. `clockOffset` is the master's when it sent this
   * (clock.ts). It reveals whether the machine has slept since then.
   */
  | {
      readonly kind: 'run'
      readonly token: string
      readonly job: WireJob
      readonly attempt: number
      readonly startBefore?: number
      readonly clockOffset?: number
    }
  /** Do not start the job with this token. */
  | { readonly kind: 'recall'; readonly token: string }
  /** The job with this token should finish early. */
  | { readonly kind: 'abort'; readonly token: string; readonly reason: WireError }
  /** What became of the task that was offered under this number. */
  | { readonly kind: 'added'; readonly offer: number; readonly outcome: AddOutcome }
  /** Report how much memory and time you use. */
  | { readonly kind: 'measure' }
  /** How the task ended for which a job waits under this number. */
  | { readonly kind: 'ended'; readonly wait: number; readonly ending: Ended }
  /** The broker's answer to one conversation, or what it threw. */
  | { readonly kind: 'answer'; readonly token: string; readonly conversation: number; readonly answer: Answer }

export type ToMaster =
  /** Booted and listening: jobs may be sent. */
  | { readonly kind: 'ready' }
  /** This task is to be added: the master may store it. `offer`: a number of the worker's, for the answer. */
  | { readonly kind: 'add'; readonly offer: number; readonly task: Encoded }
  /** These tasks were added in the worker; or one was started anew. */
  | { readonly kind: 'tasksAdded'; readonly tasks: readonly WireSignal[]; readonly areNew: boolean }
  /** The worker asked to cancel the running task whose claim has this token. */
  | { readonly kind: 'cancelRequested'; readonly token: string }
  /** The worker cancelled this task, which was not running. */
  | { readonly kind: 'taskCancelled'; readonly task: Encoded }
  /** The worker paused or resumed this task type. */
  | { readonly kind: 'typePaused'; readonly taskType: string; readonly isPaused: boolean }
  /** The function of the job with this token is about to be called, once this has left the worker. */
  | { readonly kind: 'started'; readonly token: string }
  /**
   * The job with this token has an outcome, `duration` milliseconds after it started. `rss`: the resident memory of the
   * worker in bytes, if it is limited.
   */
  | {
      readonly kind: 'outcome'
      readonly token: string
      readonly outcome: Outcome
      readonly duration: number
      readonly rss?: number
    }
  /** The function of the job with this token will not be called: it came too late, or its `started` left too late. */
  | { readonly kind: 'expired'; readonly token: string }
  /** The job with this token was recalled before it had started, and will not be. */
  | { readonly kind: 'recalled'; readonly token: string }
  /** What the running job with this token reports. */
  | ({ readonly kind: 'report'; readonly token: string } & Report)
  /** The job with this token asks the message broker. */
  | {
      readonly kind: 'ask'
      readonly token: string
      readonly conversation: number
      readonly status: number
      readonly data: WireValue
    }
  /**
   * The job with this token waits, under this number, for the end of a task. It names the task by its `_id`, its
   * `createdAt` in milliseconds, and its `sequence`.
   */
  | {
      readonly kind: 'await'
      readonly token: string
      readonly wait: number
      readonly _id: string
      readonly createdAt: number
      readonly sequence: number
    }
  /** The answer to `measure`: bytes, and a number from 0 to 1. */
  | { readonly kind: 'measured'; readonly rss: number; readonly eventLoopUtilization: number }
  /** Nobody waits under this number any more. */
  | { readonly kind: 'stopWaiting'; readonly wait: number }

/** What became of a task that a worker offered. If it was declined, the worker stores it. */
export type AddOutcome =
  { readonly kind: 'stored' | 'declined' | 'duplicate' } | { readonly kind: 'failed'; readonly error: WireError }

/** The outcome that a job reports. A worker's death is no outcome: the master sees it. */
export type Outcome =
  | { readonly kind: 'done'; readonly value: WireValue }
  /** `isFinal`: another attempt would fail in the same way. */
  | { readonly kind: 'failed'; readonly error: WireError; readonly isFinal?: boolean }
  /** The function threw a RetryLaterError. */
  | { readonly kind: 'postponed'; readonly delay: number }

/** How a task ended, for a job that waits for it. */
export type Ended = Exclude<Outcome, { kind: 'postponed' }>

export type Answer =
  { readonly kind: 'answered'; readonly value: WireValue } | { readonly kind: 'refused'; readonly error: WireError }

/** @throws if the data contains a value that cannot be sent, or that a task's data may not contain */
export function jobToWire(job: Job): WireJob {
  const { _id, taskType, data, priority, createdAt, dueDate } = job
  const encoded = encode(data)
  // Data that travels as JSON has no such key.
  const fault = 'v8' in encoded ? findBsonType(data) : undefined
  if (fault !== undefined) throw wrongValue(`task.data${fault.path}`, fault.value, fault.allowed)
  const wire = { _id, taskType, data: encoded, priority, createdAt: Number(createdAt), dueDate: Number(dueDate) }
  const { schedule, tickAt } = tickOf(job)
  return schedule === undefined ? wire : { ...wire, schedule, tickAt: Number(tickAt) }
}

export function jobFromWire({ _id, taskType, data, priority, createdAt, dueDate, schedule, tickAt }: WireJob): Job {
  const times = { createdAt: new Date(createdAt), dueDate: new Date(dueDate) }
  const ofTick = schedule === undefined || tickAt === undefined ? {} : { schedule, tickAt: new Date(tickAt) }
  return { _id, taskType, data: decode(data), priority, ...times, ...ofTick }
}

type Check = (message: Record<string, unknown>) => boolean

const hasToken: Check = ({ token }) => typeof token === 'string'

const TO_MASTER: Readonly<Record<ToMaster['kind'], Check>> = {
  ready: () => true,
  add: ({ offer, task }) => Number.isInteger(offer) && isEncodedTask(task),
  tasksAdded: ({ tasks, areNew }) => Array.isArray(tasks) && tasks.every(isSignal) && typeof areNew === 'boolean',
  taskCancelled: ({ task }) => isEncodedTask(task),
  cancelRequested: hasToken,
  typePaused: ({ taskType, isPaused }) => typeof taskType === 'string' && typeof isPaused === 'boolean',
  started: hasToken,
  expired: hasToken,
  recalled: hasToken,
  outcome: message => hasToken(message) && isOutcomeMessage(message),
  ask: message => hasToken(message) && isQuestion(message),
  report: message => hasToken(message) && isReport(message),
  await: message => hasToken(message) && isAwait(message),
  measured: ({ rss, eventLoopUtilization }) => [rss, eventLoopUtilization].every(Number.isFinite),
  stopWaiting: ({ wait }) => Number.isInteger(wait),
}

const TO_WORKER: Readonly<Record<ToWorker['kind'], Check>> = {
  run: message => hasToken(message) && isRun(message),
  recall: hasToken,
  abort: message => hasToken(message) && isWireError(message.reason),
  added: ({ offer, outcome }) => Number.isInteger(offer) && isAddOutcome(outcome),
  measure: () => true,
  ended: ({ wait, ending }) => Number.isInteger(wait) && isRecord(ending) && isOutcome(ending) && isEnd(ending),
  answer: message => hasToken(message) && Number.isInteger(message.conversation) && isAnswer(message.answer),
}

/** The application can write to the pipe, too: a message that it forges must not end the process that reads it. */
export function isToMaster(message: unknown): message is ToMaster {
  return isOneOf(TO_MASTER, message)
}

export function isToWorker(message: unknown): message is ToWorker {
  return isOneOf(TO_WORKER, message)
}

function isOneOf(checks: Readonly<Record<string, Check>>, message: unknown): boolean {
  if (!isRecord(message)) return false
  const { kind } = message
  return typeof kind === 'string' && Object.hasOwn(checks, kind) && checks[kind]?.(message) === true
}

function isQuestion({ conversation, status, data }: Record<string, unknown>): boolean {
  return Number.isInteger(conversation) && Number.isInteger(status) && isWireValue(data)
}

function isReport({ progress, lines }: Record<string, unknown>): boolean {
  const isLine = (line: unknown) => isRecord(line) && Number.isFinite(line.at) && typeof line.text === 'string'
  return (
    (progress === undefined || (isRecord(progress) && isEncoded(progress) && isPlain(decode(progress)))) &&
    (lines === undefined || (Array.isArray(lines) && lines.every(isLine)))
  )
}

/** Whether the database can store it. */
function isPlain(value: unknown): boolean {
  return value !== undefined && 'copy' in copyPlain(value)
}

function isAwait({ wait, _id, createdAt, sequence }: Record<string, unknown>): boolean {
  return Number.isInteger(wait) && typeof _id === 'string' && Number.isFinite(createdAt) && Number.isFinite(sequence)
}

function isEnd({ kind }: Record<string, unknown>): boolean {
  return kind !== 'postponed'
}

function isRun({ job, attempt, startBefore, clockOffset }: Record<string, unknown>): boolean {
  return (
    isRecord(job) &&
    typeof job._id === 'string' &&
    typeof job.taskType === 'string' &&
    isRecord(job.data) &&
    isEncoded(job.data) &&
    typeof job.createdAt === 'number' &&
    typeof job.dueDate === 'number' &&
    isNumberOrNone(job.tickAt) &&
    typeof attempt === 'number' &&
    isNumberOrNone(startBefore) &&
    isNumberOrNone(clockOffset)
  )
}

function isAddOutcome(outcome: unknown): boolean {
  if (!isRecord(outcome)) return false
  const { kind } = outcome
  if (kind === 'failed') return isWireError(outcome.error)
  return kind === 'stored' || kind === 'declined' || kind === 'duplicate'
}

function isEncodedTask(value: unknown): boolean {
  return isRecord(value) && isEncoded(value) && isTask(decode(value))
}

function isTask(value: unknown): boolean {
  return isRecord(value) && typeof value._id === 'string' && typeof value.taskType === 'string'
}

function isSignal(signal: unknown): boolean {
  if (!isRecord(signal)) return false
  const { _id, taskType, priority, dueDate } = signal
  return [_id, taskType].every(text => typeof text === 'string') && [priority, dueDate].every(Number.isFinite)
}

function isOutcomeMessage({ outcome, duration, rss }: Record<string, unknown>): boolean {
  return typeof duration === 'number' && isNumberOrNone(rss) && isOutcome(outcome)
}

function isOutcome(outcome: unknown): boolean {
  if (!isRecord(outcome)) return false
  switch (outcome.kind) {
    case 'done':
      return isWireValue(outcome.value)
    case 'failed':
      return isFailure(outcome)
    default:
      return outcome.kind === 'postponed' && isDelay(outcome.delay)
  }
}

function isFailure({ error, isFinal }: Record<string, unknown>): boolean {
  return isWireError(error) && (isFinal === undefined || typeof isFinal === 'boolean')
}

function isAnswer(answer: unknown): boolean {
  if (!isRecord(answer)) return false
  return answer.kind === 'answered' ? isWireValue(answer.value) : answer.kind === 'refused' && isWireError(answer.error)
}

function isNumberOrNone(value: unknown): boolean {
  return value === undefined || typeof value === 'number'
}

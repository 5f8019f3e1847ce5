/**
 * Every message between master and worker: two closed unions. This is the only thing that the two sides share.
 *
 * The pipe is a process.fork channel with `serialization: 'advanced'`, so values keep what structured clone keeps. Meteor
 * and the application may use the same pipe: ours are wrapped in an envelope, and everything else is left alone.
 */
import { type WireError, type WireValue, isRecord, isWireError, isWireValue } from './wire'
import type { Job } from './task'

/** Set in a worker's environment, and nowhere else: names the master that forked it. */
export const WORKER_VARIABLE = 'NSCHWARZ_CLUSTER_WORKER'

export type ToWorker =
  /**
   * Start this job, but not at `startBefore` or later (monotonic clock): its lease may have ended by then, and somebody else may
   * run it. `token` names it in every message about it.
   */
  | {
      readonly kind: 'run'
      readonly token: string
      readonly job: Job
      readonly attempt: number
      readonly startBefore: number | undefined
    }
  /** The job with this token should end early. */
  | { readonly kind: 'abort'; readonly token: string; readonly reason: WireError }
  /** The broker's answer to one conversation, or what it threw. */
  | { readonly kind: 'answer'; readonly token: string; readonly conversation: number; readonly answer: Answer }

export type ToMaster =
  /** Booted and listening: jobs may be sent. */
  | { readonly kind: 'ready' }
  /** A task of this type was added in the worker, or retried. */
  | { readonly kind: 'nudge'; readonly taskType: string }
  /** The claim with this token was cut short by a cancel in the worker. */
  | { readonly kind: 'cancelled'; readonly token: string }
  /** The function of the job with this token is about to be called. */
  | { readonly kind: 'started'; readonly token: string }
  /** The job with this token has ended. `rss`: the resident memory of the worker, in bytes. */
  | { readonly kind: 'outcome'; readonly token: string; readonly outcome: Outcome; readonly rss: number }
  /** The job with this token came too late to be started. */
  | { readonly kind: 'expired'; readonly token: string }
  /** The job with this token says something to the message broker. */
  | {
      readonly kind: 'ask'
      readonly token: string
      readonly conversation: number
      readonly status: number
      readonly data: WireValue
    }

/** How a job ended by itself. A worker's death is no outcome: the master sees it. */
export type Outcome =
  { readonly kind: 'done'; readonly value: WireValue } | { readonly kind: 'failed'; readonly error: WireError }

export type Answer =
  { readonly kind: 'answered'; readonly value: WireValue } | { readonly kind: 'refused'; readonly error: WireError }

const ENVELOPE = 'nschwarz:cluster'

/** Never null, and never with a `type`: Meteor's own listener on the pipe reads `message.type` unguarded. */
export function wrap(message: ToWorker | ToMaster): object {
  return { [ENVELOPE]: message }
}

/** Our message, or undefined for one of somebody else's, and for one that is not as it should be. */
export function unwrap<Message extends ToWorker | ToMaster>(
  raw: unknown,
  accepts: (message: unknown) => message is Message,
): Message | undefined {
  if (typeof raw !== 'object' || raw === null || !Object.hasOwn(raw, ENVELOPE)) return undefined
  const message = (raw as Record<string, unknown>)[ENVELOPE]
  return accepts(message) ? message : undefined
}

/** The pipe is open to the application too: what it forges must not end the process that reads it. */
export function isToMaster(message: unknown): message is ToMaster {
  if (!isRecord(message)) return false
  const { kind, token } = message
  if (kind === 'ready') return true
  if (kind === 'nudge') return typeof message.taskType === 'string'
  if (typeof token !== 'string') return false
  switch (kind) {
    case 'started':
    case 'expired':
    case 'cancelled':
      return true
    case 'outcome':
      return typeof message.rss === 'number' && isOutcome(message.outcome)
    case 'ask':
      return Number.isInteger(message.conversation) && Number.isInteger(message.status) && isWireValue(message.data)
    default:
      return false
  }
}

export function isToWorker(message: unknown): message is ToWorker {
  if (!isRecord(message) || typeof message.token !== 'string') return false
  switch (message.kind) {
    case 'run':
      return isRun(message)
    case 'abort':
      return isWireError(message.reason)
    case 'answer':
      return Number.isInteger(message.conversation) && isAnswer(message.answer)
    default:
      return false
  }
}

function isRun({ job, attempt, startBefore }: Record<string, unknown>): boolean {
  return (
    isRecord(job) &&
    typeof job._id === 'string' &&
    typeof job.taskType === 'string' &&
    typeof attempt === 'number' &&
    (startBefore === undefined || typeof startBefore === 'number')
  )
}

function isOutcome(outcome: unknown): boolean {
  if (!isRecord(outcome)) return false
  return outcome.kind === 'done' ? isWireValue(outcome.value) : outcome.kind === 'failed' && isWireError(outcome.error)
}

function isAnswer(answer: unknown): boolean {
  if (!isRecord(answer)) return false
  return answer.kind === 'answered' ? isWireValue(answer.value) : answer.kind === 'refused' && isWireError(answer.error)
}

/**
 * Every message between master and worker: two closed unions. This is the only thing that the two sides share.
 *
 * The pipe is a process.fork channel with `serialization: 'advanced'`, so values keep what structured clone keeps. Meteor
 * and the application may use the same pipe: ours are wrapped in an envelope, and everything else is left alone.
 */
import type { WireError, WireValue } from './wire'
import type { Job } from './task'

/** Set in a worker's environment, and nowhere else. */
export const WORKER_VARIABLE = 'NSCHWARZ_CLUSTER_WORKER'

export type ToWorker =
  /**
   * Start this job, but not at `startBefore` or later (monotonic clock): its lease may have ended by then, and somebody else may
   * run it. `token` names it in every message about it.
   */
  | { readonly kind: 'run'; readonly token: string; readonly job: Job; readonly startBefore: number | undefined }
  /** The broker's answer to one conversation, or what it threw. */
  | { readonly kind: 'answer'; readonly token: string; readonly conversation: number; readonly answer: Answer }

export type ToMaster =
  /** Booted and listening: jobs may be sent. */
  | { readonly kind: 'ready' }
  /** The function of the job with this token is about to be called. */
  | { readonly kind: 'started'; readonly token: string }
  /** The job with this token has ended. */
  | { readonly kind: 'outcome'; readonly token: string; readonly outcome: Outcome }
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

/** Our message, or undefined for one of somebody else's. */
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- who listens knows which side it is
export function unwrap<Message extends ToWorker | ToMaster>(raw: unknown): Message | undefined {
  if (typeof raw !== 'object' || raw === null || !Object.hasOwn(raw, ENVELOPE)) return undefined
  return (raw as Record<string, Message>)[ENVELOPE]
}

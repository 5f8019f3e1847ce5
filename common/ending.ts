/** The ends of tasks, and those who wait for them. */
import { WrongProcessError } from './errors'
import type { Job, Task } from './task'

/** Names one task. Another that was added later under the same `_id` is not it. */
export type Incarnation = Pick<Task, '_id' | 'createdAt' | 'sequence'>

export type Ending =
  { readonly kind: 'done'; readonly value: unknown } | { readonly kind: 'failed'; readonly error: Error }

/** What a waiter must know of its task. `ending` is set if it has ended already. */
export type Awaited = Incarnation & Pick<Task, 'taskType'> & { readonly ending: Ending | undefined }

/** A wait for the end of a task. */
export interface Wait {
  readonly ending: Promise<Ending>
  /** The task is in the queue now. @param mayHaveEnded whether it may have ended before the wait began */
  taskAdded(mayHaveEnded: boolean): void
  /** Nobody waits any more: `ending` may never settle. */
  stop(): void
}

/** Finds out how tasks end. */
export interface EndSource {
  /** The job that asks; undefined on the master, or outside of jobs. */
  readonly parent: Job | undefined
  /** @throws WrongProcessError if nothing in this process may wait */
  checkMayWait(): void
  /**
   * Waits for the end of a task that is in the queue, or that is about to be added.
   *
   * @throws as `checkMayWait`
   */
  wait(task: Incarnation): Wait
}

/** In a worker, before it runs a job. */
export const OUTSIDE_OF_JOBS: EndSource = { parent: undefined, checkMayWait: refuseToWait, wait: refuseToWait }

/** @throws WrongProcessError */
export function refuseToWait(): never {
  throw new WrongProcessError(
    'in a worker, only a task function may wait for a task, and this worker runs none: guard the call with ' +
      '`if (Cluster.isMaster())`.',
  )
}

/** A document that other code wrote may lack these fields. */
type Identity = Partial<Pick<Incarnation, 'createdAt' | 'sequence'>>

/** Of two tasks with the same `_id`. */
export function isSame(a: Identity, b: Identity): boolean {
  return Number(a.createdAt) === Number(b.createdAt) && a.sequence === b.sequence
}

/** Other code may have written a document without the fields, or with anything else in them. */
export function incarnationOf({ _id, createdAt, sequence }: Incarnation): Incarnation {
  const milliseconds = Number(createdAt)
  return {
    _id,
    createdAt: new Date(Number.isFinite(milliseconds) ? milliseconds : 0),
    sequence: Number.isFinite(sequence) ? sequence : 0,
  }
}

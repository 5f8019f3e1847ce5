import { ClusterStoppedError, TaskTimeoutError, WorkerCrashError, messageOf, textOf } from '../../../common/errors'
import type { Log, TaskEntry } from '../../../common/log'
import { type WireValue, errorFromWire, errorToWire } from '../../../common/pipe/wire'
import { type Task, type TaskFailure, failuresOf } from '../../../common/task'
import { type Definitions, keepDoneOf, retryPolicyOf, timeoutOf } from '../../../common/task-map'
import type { Death, JobOutcome } from '../../pool/workers/worker-exit'
import type { Counts, Release, Settlement } from '../../queue/claim'
import { revive } from '../../revive'
import { isResultWanted, storedResult } from '../../queue/stored-result'
import { delayAfter } from './backoff'
import type { Events } from './events'
import type { HeldClaim } from './held-claim'
import {
  type Cause,
  STOPPED,
  crashEntry,
  doneEntry,
  failureCause,
  finalCrashEntry,
  finalEntry,
  postponedEntry,
  releasedEntry,
  retryEntry,
  timeoutCause,
} from './job-log'
import type { Aftermath, Settler } from './settler'

/** How long a task that killed its worker is put off, so that the tasks behind it get their turn. */
const CRASH_PAUSE_MS = 3000

/** If this many workers in a row die before they start a task, it is no coincidence: the task becomes a suspect. */
const DEATHS_UNTIL_SUSPECT = 3

/** The most characters of an error's name, message or stack that are kept on the task. */
const MAX_TEXT_CHARACTERS = 10_000

export interface OutcomesParts {
  readonly definitions: Definitions
  readonly events: Events
  readonly log: Log
  readonly maxCrashes: number
  readonly settler: Settler
}

/** Decides what becomes of a claim whose job has left: done, retried, failed, released or cancelled. */
export class Outcomes {
  readonly #parts: OutcomesParts
  /** By `_id`: how many workers in a row have died before they had started the task, which was their only job. */
  readonly #diedBefore = new Map<string, number>()

  constructor(parts: OutcomesParts) {
    this.#parts = parts
  }

  jobEnded(held: HeldClaim, { outcome, milliseconds, abortReason }: JobOutcome): void {
    if (isDecided(held)) this.cancel(held, true)
    else if (outcome.kind === 'done') this.complete(held, outcome.value, milliseconds)
    else if (abortReason instanceof ClusterStoppedError) this.releaseForStop(held)
    else if (abortReason instanceof TaskTimeoutError) this.retryOrFail(held, this.causeOf(held, abortReason))
    else if (outcome.kind === 'postponed') this.postpone(held, outcome.delay)
    else this.retryOrFail(held, failureCause(revive(errorFromWire(outcome.error)), milliseconds), outcome.isFinal)
  }

  /**
   * The worker died while it ran the job. A crash is counted only if no other job ran. If others did, the job becomes a
   * suspect. If the worker was killed for another job, nothing is held against this one.
   */
  workerDied(held: HeldClaim, death: Death, abortReason?: Error): void {
    const { blame, how, pid } = death
    if (isDecided(held)) this.cancel(held, true)
    else if (abortReason instanceof ClusterStoppedError) this.releaseForStop(held)
    else if (abortReason instanceof TaskTimeoutError) this.retryOrFail(held, this.causeOf(held, abortReason, pid))
    else if (blame === 'certain') this.countCrash(held, death)
    else if (blame === 'none')
      this.release(held, { hasStarted: true }, `its worker died or was killed because of another job (${how})`)
    else this.releaseAsSuspect(held, true, `its worker died (${how}) while it ran others too`)
  }

  /** The worker died, or hung and was killed, before it had started any of its jobs. */
  workerDiedBefore(held: HeldClaim, death: Death): void {
    const { _id, isSuspect } = held.claim.task
    const deaths = (this.#diedBefore.get(_id) ?? 0) + 1
    const reason = `its worker died (${death.how}) before it had started`
    if (isDecided(held)) this.withdraw(held)
    else if (isSuspect === true) this.countCrash(held, death, false)
    else if (deaths >= DEATHS_UNTIL_SUSPECT)
      this.releaseAsSuspect(held, false, `${reason}, ${String(deaths)} times in a row`)
    else {
      this.release(held, { hasStarted: false }, reason)
      this.#diedBefore.set(_id, deaths)
    }
  }

  /** Fails a task that cannot be run, before its function is called and without retries. */
  failUnstarted(held: HeldClaim, error: Error): void {
    const attempts = (held.claim.task.attempts ?? 1) - 1
    this.fail(held, error, { attempts }, finalEntry(failureCause(error), attempts))
  }

  /** Releases the task, so that it runs again from the beginning. @param reason for the log, if any */
  release(held: HeldClaim, change: Release, reason?: string): void {
    const entry = reason === undefined ? undefined : releasedEntry(reason)
    this.settle(held, { kind: 'released', ...change }, { entry })
  }

  /** Settles a claim whose job will not start: its task is to be cancelled, or the claim is void. */
  withdraw(held: HeldClaim): void {
    this.cancel(held, false)
  }

  private cancel(held: HeldClaim, hasStarted: boolean): void {
    this.settle(held, { kind: 'cancelled', hasStarted })
  }

  private complete(held: HeldClaim, value: WireValue, milliseconds: number): void {
    const { task } = held.claim
    const keepDone = keepDoneOf(task, this.#parts.definitions)
    const kept = isResultWanted(task, keepDone) ? storedResult(value) : undefined
    if (kept !== undefined && 'error' in kept) {
      this.retryOrFail(held, failureCause(kept.error, milliseconds), true)
      return
    }
    const emit = () => this.#parts.events.emitDone(task, value)
    this.settle(held, { kind: 'done', value, keepDone, kept }, { entry: doneEntry(milliseconds), emit })
  }

  /** The task function asked for another attempt, which is not counted as a failure. */
  private postpone(held: HeldClaim, delay: number): void {
    this.settle(held, { kind: 'released', hasStarted: true, delay }, { entry: postponedEntry(delay) })
  }

  private releaseForStop(held: HeldClaim): void {
    this.settle(held, { kind: 'released', hasStarted: true }, { entry: STOPPED })
  }

  /** @param isFinal whether another attempt would fail in the same way */
  private retryOrFail(held: HeldClaim, cause: Cause, isFinal = false): void {
    const { task } = held.claim
    const { error } = cause
    const counts = { failures: failuresOf(task) + 1 }
    const policy = retryPolicyOf(task, this.#parts.definitions)
    if (isFinal || counts.failures > policy.retries) {
      this.fail(held, error, counts, finalEntry(cause, task.attempts ?? 1))
      return
    }
    // Taken before the application's `backoff` gets the error, which it may change.
    const failure = toFailure(error)
    const delay = delayAfter(policy, task, counts.failures, error, this.#parts.log)
    this.settle(
      held,
      { kind: 'retried', error: failure, counts, delay },
      {
        entry: retryEntry(cause, delay, counts.failures, policy.retries),
        emit: () => {
          const dueDate = new Date(Date.now() + delay)
          const retried: Task = { ...task, ...counts, state: 'scheduled', dueDate, error: failure }
          return this.#parts.events.emit('retry', { value: error, task: retried })
        },
      },
    )
  }

  /** No attempt is left. */
  private fail(held: HeldClaim, error: Error, counts: Counts, entry: TaskEntry): void {
    const failure = toFailure(error)
    const emit = () => {
      const task: Task = { ...held.claim.task, ...counts, state: 'failed', error: failure }
      return this.#parts.events.emitFailed(task, error)
    }
    this.settle(held, { kind: 'failed', error: failure, wire: errorToWire(error), counts }, { entry, emit })
  }

  /** @param killed the pid of the worker that was killed, since the job did not finish within its grace */
  private causeOf({ claim: { task } }: HeldClaim, error: TaskTimeoutError, killed?: number): Cause {
    return timeoutCause(error, timeoutOf(task, this.#parts.definitions), killed)
  }

  private releaseAsSuspect(held: HeldClaim, hasStarted: boolean, reason: string): void {
    this.release(held, { hasStarted, isSuspect: true }, `${reason}: it runs alone from now on`)
  }

  private countCrash(held: HeldClaim, { how, stderrTail, pid }: Death, hasStarted = true): void {
    const { maxCrashes } = this.#parts
    const { task } = held.claim
    const crashes = (task.crashes ?? 0) + 1
    const attempts = (task.attempts ?? 1) - (hasStarted ? 0 : 1)
    // Invariant 9: a task that keeps killing its worker is put off after each crash, and fails after `maxCrashes`.
    if (crashes < maxCrashes) {
      const entry = crashEntry(pid, how, CRASH_PAUSE_MS, crashes, maxCrashes)
      this.settle(held, { kind: 'released', hasStarted, crashes, delay: CRASH_PAUSE_MS }, { entry })
      return
    }
    const error = new WorkerCrashError(crashes, maxCrashes, how, stderrTail)
    this.fail(held, error, { crashes, attempts }, finalCrashEntry(error, pid, how, crashes))
  }

  private settle(held: HeldClaim, settlement: Settlement, aftermath?: Aftermath): void {
    this.#diedBefore.delete(held.claim.task._id)
    this.#parts.settler.settle(held, settlement, aftermath)
  }
}

/** Its task is to be cancelled, or its claim is void: what the job did changes nothing. */
function isDecided({ isCancelRequested, validity }: HeldClaim): boolean {
  return isCancelRequested || validity === 'void'
}

function toFailure(error: Error): TaskFailure {
  return {
    name: (textOf(error, 'name') ?? 'Error').slice(0, MAX_TEXT_CHARACTERS),
    message: messageOf(error).slice(0, MAX_TEXT_CHARACTERS),
    stack: textOf(error, 'stack')?.slice(0, MAX_TEXT_CHARACTERS) ?? null,
    failedAt: new Date(),
  }
}

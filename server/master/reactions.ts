import type { Incarnation, Wait } from '../../common/ending'
import { LeaseLostError, TaskCancelledError } from '../../common/errors'
import type { MessageBroker } from '../../common/ipc'
import type { Log } from '../../common/log'
import type { Report } from '../../common/report'
import type { WorkerExit } from '../../common/stats'
import { type Task, type TaskSignal, isChild } from '../../common/task'
import type { Pool } from '../pool/pool'
import type { PoolListener } from '../pool/pool-options'
import type { Death, JobOutcome, Question } from '../pool/workers/worker-exit'
import type { Cancellation, Claim, Loss } from '../queue/claim'
import type { ChangeFeed, FeedListener } from '../queue/mongo/feeds/change-feed'
import { removed } from '../queue/results/ending'
import type { Waiters } from '../queue/results/waiters'
import type { MasterListener } from '../queue/signals'
import { consult } from './broker'
import type { Admission, AdmissionListener } from './claims/admission'
import type { Claims, ClaimsListener } from './claims/claims'
import type { Events } from './claims/events'
import type { HeldClaim } from './claims/held-claim'
import { STARTED } from './claims/job-log'
import type { Outcomes } from './claims/outcomes'
import type { Reports } from './claims/reports'
import type { Settler, SettlerListener } from './claims/settler'
import type { Dispatcher } from './dispatch/dispatcher'
import { firstOfEachType } from './dispatch/first-of-each-type'
import type { LocalQueue } from './dispatch/local-queue'
import type { Maintenance, MaintenanceListener } from './maintenance/maintenance'
import type { UnknownTypes } from './maintenance/unknown-types'
import type { Outage } from './outage'
import type { Ticker } from './schedules/ticker'

export interface ReactionsParts {
  /** Milliseconds. */
  readonly abortGrace: number
  readonly admission: Admission
  readonly claims: Claims
  readonly dispatcher: Dispatcher
  readonly events: Events
  readonly feed: ChangeFeed
  readonly feedOutage: Outage
  readonly localQueue: LocalQueue
  readonly log: Log
  readonly maintenance: Maintenance
  readonly messageBroker: MessageBroker | null
  readonly outcomes: Outcomes
  readonly pool: Pool
  readonly reports: Reports
  readonly settler: Settler
  readonly ticker: Ticker | undefined
  readonly unknownTypes: UnknownTypes
  readonly waiters: Waiters
}

/**
 * Reacts to what happens in the queue of this process, in the pool, in the change feed and to the claims. All calls
 * back to the dispatcher and the settler are made here.
 */
export class Reactions
  implements
    MasterListener,
    PoolListener,
    FeedListener,
    AdmissionListener,
    ClaimsListener,
    SettlerListener,
    MaintenanceListener
{
  readonly #parts: ReactionsParts

  constructor(parts: ReactionsParts) {
    this.#parts = parts
  }

  // Events in the queue of this process, or of one of its workers.

  tasksAdded(tasks: readonly TaskSignal[]): void {
    const { dispatcher, events, feed, unknownTypes } = this.#parts
    for (const task of firstOfEachType(tasks)) {
      unknownTypes.taskAdded(task.taskType, false)
      // This process knows of the task already, so the feed need not report it.
      feed.ignore(task._id)
      dispatcher.taskAdded(task)
    }
    events.emitAdded(tasks)
  }

  taskRetried(task: TaskSignal): void {
    this.#parts.dispatcher.taskAdded(task)
  }

  inMemoryTasksAdded(tasks: readonly TaskSignal[]): void {
    for (const { taskType } of firstOfEachType(tasks)) this.#parts.unknownTypes.taskAdded(taskType, true)
    this.#parts.dispatcher.wake()
    this.#parts.events.emitAdded(tasks)
  }

  inMemoryTaskRetried(): void {
    this.#parts.dispatcher.wake()
  }

  inMemoryTaskRemoved(task: Task, token: string | undefined): void {
    if (token !== undefined) this.#parts.claims.lose(token, 'removed')
    this.#parts.waiters.ended(task, () => removed(task._id))
  }

  schedulesChanged(): void {
    this.#parts.ticker?.wake()
  }

  async addClaimed(task: Task): Promise<boolean> {
    if (!this.canStartNow(task)) return false
    await this.#parts.dispatcher.addClaimed(task)
    this.#parts.events.emitAdded([task])
    return true
  }

  taskCancelled({ task, token }: Cancellation): void {
    if (token === undefined) void this.#parts.events.emitCancelled(task)
    else this.#parts.claims.requestCancel(token)
  }

  // Events in the change feed.

  feedOpened(): void {
    this.#parts.feedOutage.succeeded(this.#parts.feed)
    this.#parts.maintenance.feedOpened()
  }

  feedTaskAdded(task: TaskSignal): void {
    this.#parts.dispatcher.taskAdded(task)
  }

  taskChanged(dueDate: Date | undefined): void {
    const { dispatcher } = this.#parts
    if (dueDate === undefined) dispatcher.tasksFound(true)
    else dispatcher.dueIn(Number(dueDate) - Date.now(), false)
  }

  taskPostponed(): void {
    this.#parts.maintenance.wake()
  }

  collectionDropped(): void {
    this.#parts.maintenance.collectionDropped()
  }

  foreignTaskAdded(hasState: boolean): void {
    // The maintenance finds documents without a state by an index. To find any other, it must read the collection.
    if (hasState) this.#parts.maintenance.adoptSoon()
    else this.#parts.maintenance.wake()
  }

  /** Asks the database which claim the request is for: the task may have been claimed anew since. */
  cancelRequested(_id: string): void {
    // When the database is away, the next renewal finds the request.
    if (this.#parts.claims.mayHold(_id)) void this.#parts.claims.findCancelRequests().catch(() => undefined)
  }

  feedFailed(error: unknown): void {
    this.#parts.feedOutage.failed(this.#parts.feed, error)
  }

  // Events in the pool.

  poolChanged(): void {
    this.#parts.dispatcher.wake()
  }

  jobStarted({ token }: Claim): void {
    this.ifHeld(token, held => {
      held.moveTo('started')
      this.#parts.log.task(held.claim.task, STARTED)
      this.#parts.reports.jobStarted(held)
      this.#parts.events.emitStarted(held.claim.task)
    })
  }

  jobReported({ token }: Claim, report: Report): void {
    this.ifHeld(token, held => this.#parts.reports.jobReported(held, report))
  }

  jobEnded({ token }: Claim, outcome: JobOutcome): void {
    this.ifHeld(token, held => this.#parts.outcomes.jobEnded(held, outcome))
  }

  jobReturned({ token }: Claim, reason?: string): void {
    this.ifHeld(token, held => this.#parts.localQueue.takeBack(held, reason))
  }

  workerDied({ token }: Claim, death: Death, abortReason: Error | undefined): void {
    this.ifHeld(token, held => this.#parts.outcomes.workerDied(held, death, abortReason))
  }

  workerDiedBefore({ token }: Claim, death: Death): void {
    this.ifHeld(token, held => this.#parts.outcomes.workerDiedBefore(held, death))
  }

  workerExited(exit: WorkerExit): void {
    this.#parts.events.emitWorkerExit(exit)
  }

  questionAsked(question: Question): void {
    void this.answer(question)
  }

  taskAwaited(task: Incarnation): Wait {
    const wait = this.#parts.waiters.wait(task)
    wait.taskAdded(true)
    return wait
  }

  /** A worker requested cancellation of a running task, which any master may hold. */
  workerRequestedCancel(token: string): void {
    this.#parts.claims.requestCancel(token)
  }

  workerCancelled(task: Task): void {
    this.taskCancelled({ task, token: undefined })
  }

  // Events of a task type.

  typePaused(taskType: string, isPaused: boolean): void {
    this.#parts.admission.setPaused(taskType, isPaused)
  }

  pausesChanged(paused: readonly string[], resumed: readonly string[]): void {
    const { claims, dispatcher, localQueue, log, pool } = this.#parts
    for (const taskType of paused) log.info(`${taskType} is paused: none of its tasks start until TaskQueue.resume`)
    for (const taskType of resumed) log.info(`${taskType} is resumed`)
    localQueue.releasePaused()
    for (const claim of claims.sentOf(paused)) pool.recall(claim)
    // A worker may have been reserved for one that was released.
    if (resumed.length > 0) dispatcher.tasksFound(false)
    else dispatcher.wake()
  }

  capacityFreed(): void {
    this.#parts.dispatcher.tasksFound(false)
  }

  // Events of a claim.

  claimToCancel(held: HeldClaim): void {
    this.abortJob(held, new TaskCancelledError())
  }

  claimLost(held: HeldClaim, loss: Loss): void {
    this.abortJob(held, new LeaseLostError())
    this.#parts.settler.lost(held, loss)
  }

  // Events after a settlement.

  taskReleased(task: Task, delay: number): void {
    this.#parts.dispatcher.releasedFor(task, delay)
  }

  claimEnded(): void {
    this.#parts.dispatcher.wake()
  }

  // Events in the maintenance.

  pollStarted(): void {
    this.#parts.dispatcher.pollStarted()
  }

  tasksFound(areNew: boolean): void {
    this.#parts.dispatcher.tasksFound(areNew)
  }

  // Invariant 2: the question of a job whose claim is no longer valid is refused.
  private async answer(question: Question): Promise<void> {
    const { claims, log, messageBroker } = this.#parts
    const held = claims.get(question.claim.token)
    const isValid = held !== undefined && (claims.isValid(held) || (await claims.confirm(held)))
    await consult(messageBroker, question, isValid, log)
  }

  private canStartNow(task: Task): boolean {
    const { admission, dispatcher } = this.#parts
    if (!admission.isUnlimited(task.taskType)) return false
    if (isChild(task)) return dispatcher.isRunning
    // If the caller gave a due date, the database's clock decides whether it has passed.
    return task.dueDate.getTime() === task.createdAt.getTime() && dispatcher.isIdle
  }

  private abortJob(held: HeldClaim, reason: Error): void {
    if (held.place === 'buffered') {
      this.#parts.localQueue.drop(held)
      // A worker may have been reserved for it.
      this.#parts.dispatcher.wake()
    } else if (held.place !== 'left') this.#parts.pool.abort(held.claim, reason, this.#parts.abortGrace)
  }

  /** Ignores a token that is not in the registry: a claim stays there until its job has left. */
  private ifHeld(token: string, react: (held: HeldClaim) => void): void {
    const held = this.#parts.claims.get(token)
    if (held !== undefined) react(held)
  }
}

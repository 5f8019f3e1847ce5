import { setTimeout as pause } from 'node:timers/promises'
import { Meteor } from 'meteor/meteor'
import type { Log } from '../../../common/log'
import type { ChangeFeed } from '../../queue/mongo/change-feed'
import type { Finding, MongoMaintenance } from '../../queue/mongo/maintenance'
import { type Owner, isGone, keyOf } from '../../queue/mongo/owner'
import type { Claims } from '../claims/claims'
import type { DueTimer } from '../dispatch/due-timer'
import type { AnswerMonitor } from './answer-monitor'
import { IndexMaintenance } from './index-maintenance'
import { endOrphans } from './orphans'
import type { QueueOutage } from './outage'
import type { UnknownTypes } from './unknown-types'

/**
 * A document with a state that no version has is somebody's slip: the feed tells of it, and what the feed missed waits
 * for this.
 */
const ADOPT_UNKNOWN_EVERY_MS = 3_600_000

const NAME_STRANDED_EVERY_MS = 3_600_000

/** After a pass, what wakes it is collected for a while. */
const COLLECTED_MS = 20

/** What follows from a pass for who dispatches. */
export interface MaintenanceListener {
  /** The queue is asked whether there are any: what is added from now on makes itself heard. */
  queueAsked(): void
  /** There may be tasks to claim. @param areNew whether some of them may not have been waiting before this pass */
  tasksWait(areNew: boolean): void
}

export interface MaintenanceParts {
  readonly queue: MongoMaintenance
  readonly answers: AnswerMonitor
  readonly claims: Claims
  readonly feed: ChangeFeed
  readonly dueTimer: DueTimer
  readonly log: Log
  readonly outage: QueueOutage
  readonly unknownTypes: UnknownTypes
}

/**
 * Keeps the persistent queue in order. It is a loop of its own: a pass at each tick, and whenever a signal wakes it; one
 * at a time. No step that fails stops a later one, or a claim.
 */
export class Maintenance {
  readonly #parts: MaintenanceParts
  readonly #indexes: IndexMaintenance
  #listener: MaintenanceListener | undefined
  #interval: number | undefined
  #passing: Promise<void> | undefined
  /** Somebody woke it since the last pass began. */
  #isAwake = false
  #isPrepared = false
  #wasSkipped = false
  /** On performance.now: when documents with an unknown state are next adopted. */
  #adoptUnknownAt = 0
  /** On performance.now: when waiting tasks that this master cannot run are next named. */
  #nameStrandedAt = 0

  constructor(parts: MaintenanceParts) {
    this.#parts = parts
    this.#indexes = new IndexMaintenance(parts)
  }

  /** The tasks of former masters are released. No persistent task may be claimed before. */
  get isPrepared(): boolean {
    return this.#isPrepared
  }

  listen(listener: MaintenanceListener): void {
    this.#listener = listener
  }

  /** Also changes the pause between two ticks. @param refreshRate milliseconds */
  start(refreshRate: number): void {
    this.stopTicks()
    this.#interval = Meteor.setInterval(() => {
      this.tick()
    }, refreshRate)
    this.wake()
  }

  /** Resolves when no pass is on its way. */
  async stop(): Promise<void> {
    this.stopTicks()
    await this.#passing
  }

  /** A task is due, or nobody knows what has happened: a pass begins now, or right after the one that is on its way. */
  wake(): void {
    this.#isAwake = true
    if (this.#interval !== undefined) this.#passing ??= this.passWhileAwake()
  }

  /** The collection was dropped or renamed, and its indexes are gone: they are created anew. */
  collectionDropped(): void {
    this.#indexes.collectionDropped()
  }

  /** Somebody wrote a document with a state that no version has: it is adopted. */
  adoptSoon(): void {
    this.#adoptUnknownAt = 0
    this.wake()
  }

  private stopTicks(): void {
    if (this.#interval !== undefined) Meteor.clearInterval(this.#interval)
    this.#interval = undefined
  }

  /**
   * While a feed reports what happens, every second tick is enough for what it does not report: expired leases,
   * documents without a state.
   */
  private tick(): void {
    this.#wasSkipped = this.#parts.feed.isOpen && !this.#isAwake && !this.#wasSkipped
    if (!this.#wasSkipped) this.#passing ??= this.passWhileAwake()
  }

  private async passWhileAwake(): Promise<void> {
    let isDone: boolean
    do {
      const isAwake = this.#isAwake
      // Before the queries: what happens from now on may be too late for them.
      this.#isAwake = false
      isDone = await this.pass(isAwake)
      if (isDone) this.#parts.outage.succeeded(this)
      // Thousands of tasks that somebody moves are thousands of reasons for another pass.
      if (isDone && this.isWanted) await pause(COLLECTED_MS)
    } while (isDone && this.isWanted)
    // What failed is tried again at the next tick.
    this.#isAwake ||= !isDone
    this.#passing = undefined
  }

  private get isWanted(): boolean {
    return this.#isAwake && this.#interval !== undefined
  }

  /** @returns whether nothing failed */
  private async pass(isAwake: boolean): Promise<boolean> {
    const { claims, feed } = this.#parts
    this.#indexes.checkIfDue()
    if (!this.#isPrepared && !(await this.steps(() => this.prepare()))) return false
    return this.steps(
      () => this.adoptUnknownInTime(),
      async () => {
        if (isAwake || !feed.isOpen) await claims.findCancelRequests()
      },
      () => this.lookAtQueue(isAwake),
      () => this.nameStrandedInTime(),
    )
  }

  /** None that fails stops a later one. @returns whether none failed, in all of its own steps */
  private async steps(...runs: (() => Promise<unknown>)[]): Promise<boolean> {
    let isDone = true
    for (const run of runs) {
      try {
        if ((await run()) === false) isDone = false
      } catch (error) {
        isDone = false
        this.#parts.outage.failed(this, error)
      }
    }
    return isDone
  }

  private async lookAtQueue(isAwake: boolean): Promise<boolean> {
    const { answers, queue } = this.#parts
    this.#listener?.queueAsked()
    const findings = await answers.watch(queue.findings()).catch((error: unknown) => {
      this.#listener?.tasksWait(true)
      throw error
    })
    const isInOrder = await this.putInOrder(findings)
    if (findings.has('due') || isAwake) await this.setDueTimer()
    return isInOrder
  }

  private async putInOrder(findings: ReadonlySet<Finding>): Promise<boolean> {
    const { queue } = this.#parts
    let changed = 0
    const change = (finding: Finding, run: () => Promise<number>) => async () => {
      if (findings.has(finding)) changed += await run()
    }
    const isInOrder = await this.steps(
      change('stateless', () => queue.adopt(false)),
      change('due', () => queue.promoteDue()),
      change('expired', () => this.rescueExpired()),
    )
    if (findings.size > 0) this.#listener?.tasksWait(changed > 0)
    return isInOrder
  }

  // Invariant 5: a master touches its own tasks and expired ones.
  private async rescueExpired(): Promise<number> {
    const { claims, log, queue } = this.#parts
    const released = await queue.rescueExpired(claims.tokens)
    if (released > 0) log.warn(`${String(released)} tasks of a master that did not renew its leases run again`)
    return released
  }

  private async setDueTimer(): Promise<void> {
    const { dueTimer, queue } = this.#parts
    const next = await queue.nextDue()
    if (next !== undefined && this.#interval !== undefined) dueTimer.add(next.wait, next.isOurs)
  }

  // Invariant 2: the former workers have ended before their tasks run again.
  private async prepare(): Promise<void> {
    const { log, queue } = this.#parts
    await queue.adopt(true)
    const former = (await queue.owners()).filter(isGone)
    const marks = await endOrphans()
    const mayHaveWorkers = (owner: Owner) => marks.some(mark => mark.startsWith(`${keyOf(owner)} `))
    const ended = former.filter(owner => !mayHaveWorkers(owner))
    const released = await queue.rescueFrom(ended)
    if (released > 0) log.warn(`${String(released)} unfinished tasks of a former master on this machine run again`)
    this.#isPrepared = true
    this.#listener?.tasksWait(true)
  }

  private async adoptUnknownInTime(): Promise<void> {
    if (performance.now() < this.#adoptUnknownAt) return
    await this.#parts.queue.adoptUnknown()
    this.#adoptUnknownAt = performance.now() + ADOPT_UNKNOWN_EVERY_MS
  }

  private async nameStrandedInTime(): Promise<void> {
    if (performance.now() < this.#nameStrandedAt) return
    this.#parts.unknownTypes.tasksStranded(await this.#parts.queue.stranded())
    this.#nameStrandedAt = performance.now() + NAME_STRANDED_EVERY_MS
  }
}

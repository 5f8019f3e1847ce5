import { setTimeout as pause } from 'node:timers/promises'
import type { Log } from '../../../common/log'
import { counted } from '../../../common/text'
import { PassLoop } from '../../pass-loop'
import type { ChangeFeed } from '../../queue/mongo/feeds/change-feed'
import { BATCH_SIZE, type Finding, type MongoMaintenance } from '../../queue/mongo/maintenance'
import { type Owner, isGone, keyOf } from '../../queue/mongo/documents/owner'
import { isRefusal } from '../../queue/mongo/documents/schema'
import { Ticks } from '../../ticks'
import type { Admission } from '../claims/admission'
import type { Claims } from '../claims/claims'
import type { DueTimer } from '../dispatch/due-timer'
import type { AnswerMonitor } from './answer-monitor'
import { IndexMaintenance } from './index-maintenance'
import { endOrphans } from './orphans'
import type { Outage } from '../outage'
import type { UnknownTypes } from './unknown-types'

/**
 * How often to look for documents with a state that no version has. They are mistakes of other code. The feed reports
 * them; this finds those that it missed.
 */
const ADOPT_UNKNOWN_EVERY_MS = 3_600_000

/** As above, if the feed was closed meanwhile. */
const ADOPT_UNKNOWN_AFTER_GAP_MS = 60_000

/** The pause after a pass, in which reasons for the next pass are collected. */
const COLLECTED_MS = 20

/** Hears what a pass means for dispatching. */
export interface MaintenanceListener {
  /** The queue is about to be asked whether tasks wait. Signals report the tasks that are added from now on. */
  pollStarted(): void
  /** There may be tasks to claim. @param areNew whether some of them may not have been waiting before this pass */
  tasksFound(areNew: boolean): void
}

export interface MaintenanceParts {
  readonly admission: Admission
  readonly queue: MongoMaintenance
  readonly answers: AnswerMonitor
  readonly claims: Claims
  readonly feed: ChangeFeed
  readonly dueTimer: DueTimer
  readonly log: Log
  readonly outage: Outage
  readonly unknownTypes: UnknownTypes
}

/**
 * Keeps the persistent queue in order. It is a loop of its own: a pass runs at each tick, and whenever a signal wakes
 * it. Passes do not overlap. A step that fails stops no later step, and no claim.
 */
export class Maintenance {
  readonly #parts: MaintenanceParts
  readonly #indexes: IndexMaintenance
  #listener: MaintenanceListener | undefined
  readonly #ticks = new Ticks(() => {
    this.tick()
  })
  readonly #loop = new PassLoop(isRequested => this.passAndCollect(isRequested))
  #isPrepared = false
  #adoptsOngoing = true
  #wasSkipped = false
  /** On performance.now: when documents with an unknown state are next adopted. */
  #adoptUnknownAt = 0
  /** On performance.now: when this was last done. */
  #adoptedUnknownAt = -Infinity

  constructor(parts: MaintenanceParts) {
    this.#parts = parts
    this.#indexes = new IndexMaintenance(parts)
  }

  /**
   * Whether the tasks of former masters are released, and the pauses known. No persistent task may be claimed before
   * that.
   */
  get isPrepared(): boolean {
    return this.#isPrepared
  }

  listen(listener: MaintenanceListener): void {
    this.#listener = listener
  }

  /** Starts the ticks, or changes the pause between them. @param refreshRate milliseconds */
  start(refreshRate: number): void {
    this.#ticks.start(refreshRate)
    this.wake()
  }

  /** Stops the ticks. Resolves when no pass is in progress. */
  async stop(): Promise<void> {
    this.#ticks.stop()
    await this.#loop.settled()
  }

  /** Starts a pass now, or right after the one in progress: a task is due, or something unknown has happened. */
  wake(): void {
    if (this.#ticks.areOn) this.#loop.request()
  }

  /** The collection was dropped or renamed, so its indexes are gone: the next pass creates them again. */
  collectionDropped(): void {
    this.#indexes.collectionDropped()
  }

  /** The feed has opened: it may have missed anything before. */
  feedOpened(): void {
    this.#adoptUnknownAt = Math.min(this.#adoptUnknownAt, this.#adoptedUnknownAt + ADOPT_UNKNOWN_AFTER_GAP_MS)
    this.wake()
  }

  /** Other code wrote a document with a state that no version has: the next pass adopts it. */
  adoptSoon(): void {
    this.#adoptUnknownAt = 0
    this.wake()
  }

  /**
   * While a feed is open, every second tick is enough for what it does not report: expired leases, and documents
   * without a state.
   */
  private tick(): void {
    this.#wasSkipped = this.#parts.feed.isOpen && !this.#loop.isRequested && !this.#wasSkipped
    if (!this.#wasSkipped) this.#loop.run()
  }

  /** @returns whether another pass may follow at once */
  private async passAndCollect(isRequested: boolean): Promise<boolean> {
    const isDone = await this.pass(isRequested)
    if (isDone) this.#parts.outage.succeeded(this)
    // What failed is tried again at the next tick.
    else this.#loop.request()
    // If somebody moves thousands of tasks, each is a reason for another pass.
    if (isDone && this.#loop.isRequested) await pause(COLLECTED_MS)
    return isDone && this.#ticks.areOn
  }

  /** @returns whether no step failed */
  private async pass(isRequested: boolean): Promise<boolean> {
    const { claims, feed } = this.#parts
    this.#indexes.checkIfDue()
    if (!this.#isPrepared && !(await this.steps(() => this.prepare()))) return false
    this.#parts.unknownTypes.nameStrandedIfDue()
    return this.steps(
      () => this.adoptUnknownInTime(),
      async () => {
        if (isRequested || !feed.isOpen) await claims.findCancelRequests()
      },
      () => this.poll(isRequested),
    )
  }

  /** Runs all steps in order, even after one that fails. @returns whether none failed, nor any of their own steps */
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

  private async poll(isRequested: boolean): Promise<boolean> {
    const { admission, answers, queue } = this.#parts
    this.#listener?.pollStarted()
    const pausesRead = admission.readPauses()
    const { findings, paused } = await answers.watch(queue.poll()).catch((error: unknown) => {
      this.#listener?.tasksFound(true)
      throw error
    })
    pausesRead(paused)
    const isInOrder = await this.putInOrder(findings)
    if (findings.has('due') || isRequested) await this.setDueTimer()
    return isInOrder
  }

  private async putInOrder(findings: ReadonlySet<Finding>): Promise<boolean> {
    const { queue } = this.#parts
    let changed = 0
    const change = (finding: Finding, run: () => Promise<number>) => async () => {
      const count = findings.has(finding) ? await run() : 0
      changed += count
      if (count >= BATCH_SIZE) this.wake()
    }
    const isInOrder = await this.steps(
      change('expired', () => this.rescueExpired()),
      change('stateless', () => this.adopt()),
      change('due', () => queue.promoteDue()),
    )
    if (findings.size > 0) this.#listener?.tasksFound(changed > 0)
    return isInOrder
  }

  // Invariant 5: a master touches its own tasks and expired ones.
  private async rescueExpired(): Promise<number> {
    const { claims, log, queue } = this.#parts
    const released = await queue.rescueExpired(claims.tokens)
    if (released > 0) log.warn(`requeued ${counted(released, 'task')} of a master that did not renew its leases`)
    return released
  }

  private async setDueTimer(): Promise<void> {
    const { dueTimer, queue } = this.#parts
    const next = await queue.nextDue()
    if (next !== undefined && this.#ticks.areOn) dueTimer.add(next.wait, next.isOurs)
  }

  // Invariant 2: the workers of former masters are gone before their tasks run again.
  private async prepare(): Promise<void> {
    const { log, outage, queue } = this.#parts
    await this.readPauses()
    await this.adopt().catch((error: unknown) => {
      // One document that cannot be updated must not stop all claims.
      if (!isRefusal(error)) throw error
      outage.failed(this, error)
    })
    const former = (await queue.owners()).filter(isGone)
    const marks = await endOrphans()
    const mayHaveWorkers = (owner: Owner) => marks.some(mark => mark.startsWith(`${keyOf(owner)} `))
    const ended = former.filter(owner => !mayHaveWorkers(owner))
    // Invariant 4: the tasks of a master that crashed on this machine run again at once.
    const released = await queue.rescueFrom(ended)
    if (released > 0) log.warn(`requeued ${counted(released, 'unfinished task')} of a former master on this machine`)
    this.#isPrepared = true
    this.#listener?.tasksFound(true)
  }

  private async readPauses(): Promise<void> {
    const { admission, log, queue } = this.#parts
    const pausesRead = admission.readPauses()
    try {
      pausesRead(await queue.pausedTypes())
    } catch (error) {
      // In-memory tasks do not wait for the database.
      pausesRead([])
      if (!isRefusal(error)) throw error
      log.error('the database refuses to read which task types are paused, so none is paused on this master', error)
      queue.ignorePauses()
    }
  }

  /** Those that are marked as running are adopted at the start only, until none is left. */
  private async adopt(): Promise<number> {
    const count = await this.#parts.queue.adopt(this.#adoptsOngoing)
    if (count < BATCH_SIZE) this.#adoptsOngoing = false
    return count
  }

  private async adoptUnknownInTime(): Promise<void> {
    if (performance.now() < this.#adoptUnknownAt) return
    // Before the query, which may miss a document that the feed reports from now on.
    this.#adoptedUnknownAt = performance.now()
    this.#adoptUnknownAt = this.#adoptedUnknownAt + ADOPT_UNKNOWN_EVERY_MS
    try {
      await this.#parts.queue.adoptUnknown()
    } catch (error) {
      this.#adoptUnknownAt = 0
      throw error
    }
  }
}

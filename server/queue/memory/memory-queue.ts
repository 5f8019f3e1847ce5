import { type Awaited, type Ending, type Incarnation, isSame } from '../../../common/ending'
import { WrongProcessError } from '../../../common/errors'
import { compareTasks } from '../../../common/order'
import { type Task, type TaskSignal, checkText, copyTask } from '../../../common/task'
import { role } from '../../role'
import type { Cancellation, Claim, ReportFields, Rooms, Settlement, SettleRequest, Verdict } from '../claim'
import { type Entry, QueuedEntries } from './entries'
import type { InMemoryTasks } from './in-memory-tasks'
import { type Retention, WATCHED_KEPT_MS, isWatched } from '../retention'
import { KeptTasks } from './kept-tasks'
import { cancelledTask, doneEntry, endingOf, failedEntry, releasedTask, retriedTask, startedAnew } from './settled'

/** The queue that lives and dies with its master. An entry that is not in `#entries` is outdated. */
export class MemoryQueue implements InMemoryTasks {
  readonly #entries = new Map<string, Entry>()
  readonly #queued = new QueuedEntries(entry => this.#entries.get(entry.task._id) === entry)
  readonly #kept = new KeptTasks()
  readonly #retention: Retention
  /** The first part of the tokens of this queue; no other queue has it. */
  readonly #name: string
  #claimed = 0
  /** Called with a task that was removed, and its token if it was running. Undefined without a master. */
  #removed: ((task: Task, token: string | undefined) => void) | undefined
  #rooms: Rooms = { roomOf: () => Infinity }

  /** @param name unique to this queue */
  constructor(name: string, retention: Retention) {
    this.#name = name
    this.#retention = retention
  }

  /**
   * Called once this process has a master, which runs the tasks that are added.
   *
   * @param removed called with a task that was removed, and its token if it was running
   */
  open(removed: (task: Task, token: string | undefined) => void, rooms: Rooms): void {
    this.#removed = removed
    this.#rooms = rooms
  }

  /**
   * @returns the `_id`s of the tasks that are in the queue already; all others are added
   * @throws WrongProcessError when no master in this process would run them
   */
  add(tasks: readonly Task[]): string[] {
    this.checkOpen()
    this.dropSurplus()
    const isTaken = (task: Task) => {
      const entry = this.#entries.get(task._id)
      return entry !== undefined && !isReplaceable(entry, task)
    }
    const taken = tasks.filter(isTaken)
    for (const task of tasks) if (!isTaken(task)) this.enqueue(task)
    return taken.map(({ _id }) => _id)
  }

  findById(_id: string): Task | undefined {
    this.bringUpToDate()
    const entry = this.#entries.get(checkText('inMemory.findById._id', _id))
    return entry && copyTask(entry.task)
  }

  removeById(_id: string): Task | undefined {
    const entry = this.#entries.get(checkText('inMemory.removeById._id', _id))
    if (entry !== undefined) this.drop(entry)
    this.#queued.forgetOutdated(this.#entries.size)
    if (entry !== undefined) this.#removed?.(entry.task, entry.token)
    return entry && copyTask(entry.task)
  }

  tasks(): Task[] {
    return this.sorted(() => true)
  }

  availableTasks(): Task[] {
    return this.sorted(task => task.state === 'waiting')
  }

  /**
   * How many tasks could start now; stops counting at `limit`. Removed tasks that are still queued may be counted,
   * unless there are no others of their type.
   */
  countDue(limit: number): number {
    return this.#queued.countWaiting(limit, this.#rooms)
  }

  /**
   * Makes the tasks that are due `waiting`, so that they can be claimed.
   *
   * @returns milliseconds until it must be called again, for the next one; Infinity if there is none
   */
  promoteDue(): number {
    return this.#queued.promoteDue()
  }

  /** The task of the claim shares its data with the queue: nobody may change it. */
  claim(): Claim | undefined {
    this.dropSurplus()
    const entry = this.#queued.takeWaiting(this.#rooms)
    if (entry === undefined) return undefined
    const attempts = (entry.task.attempts ?? 0) + 1
    // V8 gives each copy that a spread makes and a new field extends a shape of its own. That is ten times slower, and
    // so is every later read (measured, Node 20).
    const task: Task = Object.assign({}, entry.task, { state: 'running' as const, attempts })
    const token = `${this.#name}:${String(this.#claimed++)}`
    entry.task = task
    entry.token = token
    return { task, token, inMemory: true, isTakenOver: false, isCancelRequested: false }
  }

  /**
   * Settles at once, since no write can fail. The token of a task that was removed, or added again under the same
   * `_id`, is another one or missing.
   */
  settle({ claim, report, settlement }: SettleRequest): Verdict {
    const entry = this.#entries.get(claim.task._id)
    if (entry?.token !== claim.token) return 'removed'
    if (entry.isCancelRequested === true || settlement.kind === 'cancelled') {
      const hasStarted = !('hasStarted' in settlement) || settlement.hasStarted
      this.keepEnded({ task: cancelledTask({ ...entry.task, ...report }, hasStarted) })
      return 'cancelled'
    }
    if (settlement.kind === 'done' && settlement.kept === undefined && !isWatched(entry.task)) this.drop(entry)
    else this.leave({ ...entry.task, ...report }, settlement)
    return 'settled'
  }

  /** Changes nothing if the task no longer carries the token of the claim. */
  report({ task: { _id }, token }: Claim, fields: ReportFields): void {
    const entry = this.#entries.get(_id)
    if (entry?.token === token) entry.task = { ...entry.task, ...fields }
  }

  /**
   * Cancels a task that is not running; records a cancel request on one that is.
   *
   * @returns undefined when no task could be cancelled
   */
  cancel(_id: string): Cancellation | undefined {
    const entry = this.#entries.get(_id)
    if (entry?.token !== undefined) {
      entry.isCancelRequested = true
      return { task: entry.task, token: entry.token }
    }
    if (entry === undefined || !isQueued(entry.task)) return undefined
    const task = cancelledTask(entry.task, true)
    this.keepEnded({ task })
    this.#queued.forgetOutdated(this.#entries.size)
    return { task, token: undefined }
  }

  /** Starts a failed or cancelled task anew. @returns the task, or undefined when there is none */
  startAnew(_id: string): TaskSignal | undefined {
    this.dropSurplus()
    const entry = this.#entries.get(_id)
    if (entry === undefined || !mayStartAnew(entry.task)) return undefined
    const anew = startedAnew(entry.task)
    this.enqueue(anew)
    return anew
  }

  /** As `markAwaited` for the persistent queue. */
  markAwaited(_id: string): Awaited | undefined {
    this.dropSurplus()
    const entry = this.#entries.get(_id)
    if (entry === undefined) return undefined
    const ending = endingOf(entry)
    if (ending === undefined) entry.task = { ...entry.task, awaited: entry.task.awaited ?? 'result' }
    const { createdAt, sequence, taskType } = entry.task
    return { _id, createdAt, sequence, taskType, ending }
  }

  /** How a task ended; `unended`; or undefined when it is not in this queue. */
  endingOf(task: Incarnation): Ending | 'unended' | undefined {
    const entry = this.#entries.get(task._id)
    return entry === undefined || !isSame(entry.task, task) ? undefined : (endingOf(entry) ?? 'unended')
  }

  /** @throws WrongProcessError when no master in this process would run a task */
  checkOpen(): void {
    if (role === 'worker') {
      throw new WrongProcessError('in-memory tasks can be added on the master only; leave out inMemory to add it here.')
    }
    if (this.#removed === undefined) {
      throw new WrongProcessError(
        'nobody would run an in-memory task: this app has no `new Cluster`; create it first, or leave out inMemory.',
      )
    }
  }

  /** Makes a new entry each time, which outdates the one that may still be queued. */
  private enqueue(task: Task, delay?: number): void {
    const entry: Entry = delay === undefined ? { task } : { task, dueAt: performance.now() + delay }
    this.#entries.set(task._id, entry)
    // It may replace one that was kept.
    this.#kept.delete(task._id)
    this.#queued.add(entry)
  }

  /** Makes a new entry, which has no token. */
  private leave(task: Task, settlement: Exclude<Settlement, { kind: 'cancelled' }>): void {
    switch (settlement.kind) {
      case 'done':
        this.keep(doneEntry(task, settlement), Math.max(settlement.keepDone ?? 0, watchedFor(task)))
        return
      case 'failed':
        this.keepEnded(failedEntry(task, settlement))
        return
      case 'retried':
        this.enqueue(retriedTask(task, settlement), settlement.delay)
        return
      case 'released':
        this.enqueue(releasedTask(task, settlement), settlement.delay)
    }
  }

  private drop(entry: Entry): void {
    this.#entries.delete(entry.task._id)
    this.#kept.delete(entry.task._id)
  }

  /** Keeps a failed or cancelled task. */
  private keepEnded(entry: Entry): void {
    const keepFailed = this.#retention.keepFailedOf(entry.task)
    this.keep(entry, keepFailed === null ? null : Math.max(keepFailed, watchedFor(entry.task)))
  }

  /** @param milliseconds for how long, or null for good */
  private keep(entry: Entry, milliseconds: number | null): void {
    this.#entries.set(entry.task._id, entry)
    this.#kept.add(entry.task._id, milliseconds)
    this.dropSurplus()
  }

  /** Before somebody reads the tasks: makes those that are due `waiting`, and drops the surplus. */
  private bringUpToDate(): void {
    this.#queued.promoteDue()
    this.dropSurplus()
  }

  private dropSurplus(): void {
    for (const _id of this.#kept.takeSurplus()) this.#entries.delete(_id)
  }

  private sorted(accepts: (task: Task) => boolean): Task[] {
    this.bringUpToDate()
    return [...this.#entries.values()]
      .map(entry => entry.task)
      .filter(accepts)
      .sort(compareTasks)
      .map(copyTask)
  }
}

function isQueued(task: Task): boolean {
  return task.state === 'waiting' || task.state === 'scheduled'
}

function mayStartAnew({ state }: Task): boolean {
  return state === 'failed' || state === 'cancelled'
}

/** As in the persistent queue. */
function isReplaceable({ idHeldUntil = 0, task }: Entry, { awaited }: Task): boolean {
  const isIdFree = task.state === 'done' && performance.now() >= idHeldUntil
  return isIdFree && (awaited === undefined || !isWatched(task))
}

function watchedFor(task: Task): number {
  return isWatched(task) ? WATCHED_KEPT_MS : 0
}

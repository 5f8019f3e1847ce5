import { DuplicateTaskError, WrongProcessError } from '../../../common/errors'
import { compareTasks } from '../../../common/order'
import { type Task, type TaskSignal, checkText, copyTask } from '../../../common/task'
import { role } from '../../role'
import type { Cancellation, Claim, Release, Settlement, Verdict } from '../claim'
import { type Entry, QueuedEntries } from './entries'
import type { InMemoryTasks } from './in-memory-tasks'
import { KeptTasks, type Retention } from './retention'

/**
 * The queue that lives and dies with its master. The map is the truth: an entry that is not in it is out of date.
 */
export class MemoryQueue implements InMemoryTasks {
  readonly #entries = new Map<string, Entry>()
  readonly #queued = new QueuedEntries(entry => this.#entries.get(entry.task._id) === entry)
  readonly #kept: KeptTasks
  /** Of this queue, so that no other's tokens begin like its own. */
  readonly #name: string
  #claimed = 0
  /** Called with the token of a running task that was removed. Undefined while this process has no master. */
  #runningRemoved: ((token: string) => void) | undefined

  /** @param name unique to this queue */
  constructor(name: string, retention: Retention) {
    this.#name = name
    this.#kept = new KeptTasks(retention)
  }

  /**
   * From now on this process has a master, which runs what is added.
   *
   * @param runningRemoved called with the token of a running task that was removed
   */
  open(runningRemoved: (token: string) => void): void {
    this.#runningRemoved = runningRemoved
  }

  /** @throws DuplicateTaskError, or WrongProcessError when nobody here would run the task */
  add(tasks: readonly Task[]): void {
    this.check(tasks)
    for (const task of tasks) this.enqueue(task)
  }

  /** Whether these could be added. @throws as `add` */
  check(tasks: readonly Task[]): void {
    if (tasks.length === 0) return
    this.checkOpen()
    this.dropSurplus()
    const duplicates = tasks.map(({ _id }) => _id).filter(_id => this.#entries.has(_id))
    if (duplicates.length > 0) throw new DuplicateTaskError(duplicates)
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
    if (entry?.token !== undefined) this.#runningRemoved?.(entry.token)
    return entry && copyTask(entry.task)
  }

  tasks(): Task[] {
    return this.sorted(() => true)
  }

  availableTasks(): Task[] {
    return this.sorted(task => task.state === 'waiting')
  }

  /**
   * How many tasks could start now, counted no further than `limit`. Removed tasks that have not come up yet may be
   * counted, unless there is nothing else.
   */
  countDue(limit: number): number {
    return this.#queued.first() === undefined ? 0 : Math.min(limit, this.#queued.waitingCount)
  }

  /** Milliseconds until the next of those that are not due may be; Infinity if there is none. */
  get nextDueIn(): number {
    return this.#queued.nextDueIn
  }

  /** The data of its task is that of the queue: nobody may change it. */
  claim(): Claim | undefined {
    this.dropSurplus()
    const entry = this.#queued.take()
    if (entry === undefined) return undefined
    const task: Task = { ...entry.task, state: 'running', attempts: (entry.task.attempts ?? 0) + 1 }
    const token = `${this.#name}:${String(this.#claimed++)}`
    entry.task = task
    entry.token = token
    return { task, token, inMemory: true, isTakenOver: false, isCancelRequested: false }
  }

  /**
   * No write fails here. A task that was removed, or removed and added again under its `_id`, has another token or
   * none.
   */
  settle({ task: { _id }, token }: Claim, settlement: Settlement): Verdict {
    const entry = this.#entries.get(_id)
    if (entry?.token !== token) return 'removed'
    delete entry.token
    if (entry.isCancelRequested === true || settlement.kind === 'cancelled') {
      delete entry.isCancelRequested
      this.keep({ task: cancelledTask(entry.task, !('hasStarted' in settlement) || settlement.hasStarted) })
      return 'cancelled'
    }
    this.leave(entry, settlement)
    return 'settled'
  }

  /**
   * Cancels a task that is not running; records a request on one that is. @returns undefined when no task could be
   * cancelled
   */
  cancel(_id: string): Cancellation | undefined {
    const entry = this.#entries.get(_id)
    if (entry?.token !== undefined) {
      entry.isCancelRequested = true
      return { task: entry.task, token: entry.token }
    }
    if (entry === undefined || !isQueued(entry.task)) return undefined
    const task = cancelledTask(entry.task, true)
    this.keep({ task })
    this.#queued.forgetOutdated(this.#entries.size)
    return { task, token: undefined }
  }

  /** Starts a failed or cancelled task anew. @returns the task, or undefined when there is none */
  startAnew(_id: string): TaskSignal | undefined {
    this.dropSurplus()
    const entry = this.#entries.get(_id)
    if (entry === undefined || !isKept(entry.task)) return undefined
    const { error: _error, cancelledAt: _cancelledAt, isSuspect: _isSuspect, ...task } = entry.task
    this.#kept.delete(_id)
    const anew = { ...task, dueDate: new Date(), failures: 0, crashes: 0 }
    this.enqueue(anew)
    return anew
  }

  private checkOpen(): void {
    if (role === 'worker') {
      throw new WrongProcessError('in-memory tasks can be added on the master only; leave out inMemory to add it here.')
    }
    if (this.#runningRemoved === undefined) {
      throw new WrongProcessError(
        'nobody would run an in-memory task: this app has no `new Cluster`; create it first, or leave out inMemory.',
      )
    }
  }

  /** A new entry each time: what is still queued of the one before is out of date then. */
  private enqueue(task: Task, delay?: number): void {
    const entry: Entry = delay === undefined ? { task } : { task, dueAt: performance.now() + delay }
    this.#entries.set(task._id, entry)
    this.#queued.add(entry)
  }

  private leave(entry: Entry, settlement: Exclude<Settlement, { kind: 'cancelled' }>): void {
    switch (settlement.kind) {
      case 'done':
        this.drop(entry)
        return
      case 'failed':
        this.keep({ task: { ...entry.task, ...settlement.counts, error: settlement.error, state: 'failed' } })
        return
      case 'retried':
        this.enqueue(retriedTask(entry.task, settlement), settlement.delay)
        return
      case 'released':
        this.enqueue(releasedTask(entry.task, settlement), settlement.delay)
    }
  }

  private drop(entry: Entry): void {
    this.#entries.delete(entry.task._id)
    this.#kept.delete(entry.task._id)
  }

  private keep(entry: Entry): void {
    this.#entries.set(entry.task._id, entry)
    this.#kept.add(entry.task._id)
    this.dropSurplus()
  }

  /** For whoever looks at the tasks: those that have become due are waiting. */
  private bringUpToDate(): void {
    this.#queued.first()
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

function isKept(task: Task): boolean {
  return task.state === 'failed' || task.state === 'cancelled'
}

function retriedTask(task: Task, { counts, error, delay }: Extract<Settlement, { kind: 'retried' }>): Task {
  return { ...task, ...counts, error, dueDate: new Date(Date.now() + delay) }
}

function releasedTask(task: Task, { hasStarted, crashes, delay, isSuspect }: Release): Task {
  return {
    ...task,
    attempts: countedAttempts(task, hasStarted),
    ...(crashes === undefined ? {} : { crashes }),
    ...(delay === undefined ? {} : { dueDate: new Date(Date.now() + delay) }),
    ...(isSuspect === undefined ? {} : { isSuspect }),
  }
}

function cancelledTask(task: Task, hasStarted: boolean): Task {
  const attempts = task.attempts === undefined ? {} : { attempts: countedAttempts(task, hasStarted) }
  return { ...task, ...attempts, state: 'cancelled', cancelledAt: new Date() }
}

/** The claim counted an attempt. */
function countedAttempts({ attempts = 1 }: Task, hasStarted: boolean): number {
  return hasStarted ? attempts : attempts - 1
}

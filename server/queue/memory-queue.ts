import { DuplicateTaskError, WrongProcessError } from '../../common/errors'
import { compareTasks } from '../../common/order'
import { copyPlain } from '../../common/plain'
import { type Task, type TaskFailure, checkText } from '../../common/task'
import { role } from '../role'
import type { Cancelled, Claim, ClaimStore, Counts, Fate, Release } from './claim'
import type { InMemoryTasks } from './in-memory-tasks'
import { KeptTasks, type Retention } from './kept-tasks'
import { type Entry, QueuedEntries } from './queued-entries'

/**
 * The queue that lives and dies with its master. The map is the truth: an entry that is not in it is out of date.
 */
export class MemoryQueue implements InMemoryTasks, ClaimStore {
  readonly #entries = new Map<string, Entry>()
  readonly #queued = new QueuedEntries(entry => this.#entries.get(entry.task._id) === entry)
  readonly #kept: KeptTasks
  readonly #makeToken: () => string
  #isOpen = false

  constructor(makeToken: () => string, retention: Retention) {
    this.#makeToken = makeToken
    this.#kept = new KeptTasks(retention)
  }

  /** From now on this process has a master, which runs what is added. */
  open(): void {
    this.#isOpen = true
  }

  /** @throws DuplicateTaskError, or WrongProcessError when nobody here would run the task */
  add(task: Task): void {
    this.checkOpen()
    this.dropSurplus()
    if (this.#entries.has(task._id)) throw new DuplicateTaskError(task._id)
    this.enqueue(task)
  }

  findById(_id: string): Task | undefined {
    this.dropSurplus()
    const entry = this.#entries.get(checkText('inMemory.findById._id', _id))
    return entry && copyTask(entry.task)
  }

  removeById(_id: string): Task | undefined {
    const entry = this.#entries.get(checkText('inMemory.removeById._id', _id))
    if (entry !== undefined) this.drop(entry)
    this.#queued.forgetOutdated(this.#entries.size)
    return entry && copyTask(entry.task)
  }

  tasks(): Task[] {
    return this.sorted(() => true)
  }

  availableTasks(): Task[] {
    const now = new Date()
    return this.sorted(task => isQueued(task) && task.dueDate <= now)
  }

  /**
   * How many tasks could start now, counted no further than `limit`. Removed tasks that have not come up yet may be
   * counted, unless there is nothing else.
   */
  countDue(limit: number): number {
    return this.#queued.first() === undefined ? 0 : Math.min(limit, this.#queued.waitingCount)
  }

  claim(): Claim | undefined {
    this.dropSurplus()
    const entry = this.#queued.take()
    if (entry === undefined) return undefined
    entry.task = { ...entry.task, state: 'running', attempts: (entry.task.attempts ?? 0) + 1 }
    entry.token = this.#makeToken()
    return { task: copyTask(entry.task), token: entry.token, store: this }
  }

  complete(claim: Claim): Promise<boolean> {
    return this.writeIfHeld(claim, entry => {
      this.drop(entry)
    })
  }

  fail(claim: Claim, error: TaskFailure, counts: Counts): Promise<boolean> {
    return this.writeIfHeld(claim, entry => {
      this.keep({ task: { ...entry.task, ...counts, error, state: 'failed' } })
    })
  }

  retry(claim: Claim, error: TaskFailure, counts: Counts, delay: number): Promise<boolean> {
    return this.writeIfHeld(claim, entry => {
      this.enqueue({ ...entry.task, ...counts, error, dueDate: new Date(Date.now() + delay) })
    })
  }

  release(claim: Claim, { hasStarted, crashes }: Release): Promise<boolean> {
    return this.writeIfHeld(claim, entry => {
      const { attempts = 1 } = entry.task
      const change = { attempts: hasStarted ? attempts : attempts - 1, ...(crashes === undefined ? {} : { crashes }) }
      this.enqueue({ ...entry.task, ...change })
    })
  }

  isCompleted({ task }: Claim): Promise<boolean> {
    return Promise.resolve(!this.#entries.has(task._id))
  }

  isRecorded({ task }: Claim, error: TaskFailure): Promise<boolean> {
    return Promise.resolve(this.#entries.get(task._id)?.task.error === error)
  }

  fateOf({ task, token }: Claim): Promise<Fate> {
    const entry = this.#entries.get(task._id)
    if (entry === undefined) return Promise.resolve('removed')
    return Promise.resolve(entry.cancelledToken === token ? 'cancelled' : 'taken')
  }

  /** @returns undefined when there is none that could be cancelled */
  cancel(_id: string): Cancelled | undefined {
    const entry = this.#entries.get(_id)
    if (entry === undefined || !(isQueued(entry.task) || entry.task.state === 'running')) return undefined
    const task: Task = { ...entry.task, state: 'cancelled', cancelledAt: new Date() }
    this.keep({ task, ...(entry.token === undefined ? {} : { cancelledToken: entry.token }) })
    this.#queued.forgetOutdated(this.#entries.size)
    return { task: copyTask(entry.task), token: entry.token }
  }

  /** Starts a failed or cancelled task anew. @returns its type, or undefined when there is none */
  startAnew(_id: string): string | undefined {
    this.dropSurplus()
    const entry = this.#entries.get(_id)
    if (entry === undefined || !isKept(entry.task)) return undefined
    const { error: _error, cancelledAt: _cancelledAt, ...task } = entry.task
    this.#kept.delete(_id)
    this.enqueue({ ...task, dueDate: new Date(), failures: 0, crashes: 0 })
    return task.taskType
  }

  private checkOpen(): void {
    if (role === 'worker') {
      throw new WrongProcessError('in-memory tasks can be added on the master only; leave out inMemory to add it here.')
    }
    if (!this.#isOpen) {
      throw new WrongProcessError(
        'nobody would run an in-memory task: this app has no `new Cluster`; create it first, or leave out inMemory.',
      )
    }
  }

  /** A new entry each time: what is still queued of the one before is out of date then. */
  private enqueue(task: Task): void {
    const entry: Entry = { task }
    this.#entries.set(task._id, entry)
    this.#queued.add(entry)
  }

  /** A task that was removed, or removed and added again under its `_id`, has another token or none. */
  private writeIfHeld(claim: Claim, apply: (entry: Entry) => void): Promise<boolean> {
    const entry = this.#entries.get(claim.task._id)
    if (entry?.token !== claim.token) return Promise.resolve(false)
    delete entry.token
    apply(entry)
    return Promise.resolve(true)
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

  private dropSurplus(): void {
    for (const _id of this.#kept.takeSurplus()) this.#entries.delete(_id)
  }

  private sorted(accepts: (task: Task) => boolean): Task[] {
    this.dropSurplus()
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

function copyTask(task: Task): Task {
  const result = copyPlain(task.data)
  return { ...task, data: 'copy' in result ? result.copy : task.data }
}

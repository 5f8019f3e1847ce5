import { DuplicateTaskError, InvalidArgumentError, WrongProcessError } from '../../common/errors'
import { compareTasks } from '../../common/order'
import { copyPlain } from '../../common/plain'
import type { Task, TaskFailure } from '../../common/task'
import { role } from '../role'
import type { Claim, ClaimStore } from './claim'
import { Heap } from './heap'
import type { InMemoryTasks } from './in-memory-tasks'

/** Failed tasks are kept to be looked at; past this many the oldest are dropped, since memory is all they have. */
const MAX_FAILED = 1000

/** Below this it is not worth the while to look for removed tasks in a heap. */
const MIN_HEAP = 16

interface Entry {
  task: Task
  /** While running. */
  token?: string
}

/**
 * The queue that lives and dies with its master. The map is the truth; the heaps may hold entries that were removed or
 * have moved on, which are skipped when they come up.
 */
export class MemoryQueue implements InMemoryTasks, ClaimStore {
  readonly #entries = new Map<string, Entry>()
  readonly #waiting = new Heap<Entry>((a, b) => compareTasks(a.task, b.task))
  readonly #scheduled = new Heap<Entry>((a, b) => Number(a.task.dueDate) - Number(b.task.dueDate))
  /** Ids of failed tasks, oldest first. */
  readonly #failed = new Set<string>()
  readonly #makeToken: () => string
  #isOpen = false

  constructor(makeToken: () => string) {
    this.#makeToken = makeToken
  }

  /** From now on this process has a master, which runs what is added. */
  open(): void {
    this.#isOpen = true
  }

  /** @throws DuplicateTaskError, or WrongProcessError when nobody here would run the task */
  add(task: Task): void {
    this.checkOpen()
    if (this.#entries.has(task._id)) throw new DuplicateTaskError(task._id)
    const entry = { task }
    this.#entries.set(task._id, entry)
    this.enqueue(entry)
  }

  findById(_id: string): Task | undefined {
    const entry = this.#entries.get(checkId('findById', _id))
    return entry && copyTask(entry.task)
  }

  removeById(_id: string): Task | undefined {
    const entry = this.#entries.get(checkId('removeById', _id))
    if (entry !== undefined) this.drop(entry)
    this.forgetRemoved()
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
    this.promote()
    return this.firstWaiting() === undefined ? 0 : Math.min(limit, this.#waiting.size)
  }

  claim(): Claim | undefined {
    this.promote()
    const entry = this.firstWaiting()
    if (entry === undefined) return undefined
    this.#waiting.take()
    entry.task = { ...entry.task, state: 'running' }
    entry.token = this.#makeToken()
    return { task: copyTask(entry.task), token: entry.token, store: this }
  }

  complete(claim: Claim): Promise<boolean> {
    return this.settle(claim, entry => {
      this.drop(entry)
    })
  }

  fail(claim: Claim, error: TaskFailure): Promise<boolean> {
    return this.settle(claim, entry => {
      entry.task = { ...entry.task, state: 'failed', error }
      this.#failed.add(claim.task._id)
      this.dropOldestFailed()
    })
  }

  release(claim: Claim, crashes = claim.task.crashes): Promise<boolean> {
    return this.settle(claim, entry => {
      entry.task = { ...entry.task, crashes }
      this.enqueue(entry)
    })
  }

  isCompleted({ task }: Claim): Promise<boolean> {
    return Promise.resolve(!this.#entries.has(task._id))
  }

  isFailed({ task }: Claim, error: TaskFailure): Promise<boolean> {
    return Promise.resolve(this.#entries.get(task._id)?.task.error === error)
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

  private enqueue(entry: Entry): void {
    const isDue = entry.task.dueDate <= new Date()
    entry.task = { ...entry.task, state: isDue ? 'waiting' : 'scheduled' }
    ;(isDue ? this.#waiting : this.#scheduled).add(entry)
  }

  /** A task that was removed, or removed and added again under its `_id`, has another token or none. */
  private settle(claim: Claim, apply: (entry: Entry) => void): Promise<boolean> {
    const entry = this.#entries.get(claim.task._id)
    if (entry?.token !== claim.token) return Promise.resolve(false)
    delete entry.token
    apply(entry)
    return Promise.resolve(true)
  }

  private promote(): void {
    const now = new Date()
    for (let next = this.#scheduled.first(); next && next.task.dueDate <= now; next = this.#scheduled.first()) {
      this.#scheduled.take()
      if (this.isCurrent(next)) this.enqueue(next)
    }
  }

  private firstWaiting(): Entry | undefined {
    let first = this.#waiting.first()
    while (first !== undefined && !this.isCurrent(first)) {
      this.#waiting.take()
      first = this.#waiting.first()
    }
    return first
  }

  private isCurrent(entry: Entry): boolean {
    return this.#entries.get(entry.task._id) === entry
  }

  private drop(entry: Entry): void {
    this.#entries.delete(entry.task._id)
    this.#failed.delete(entry.task._id)
  }

  /** The heaps let go of removed tasks when most of what they hold is such, so that each removal costs O(log n) on average. */
  private forgetRemoved(): void {
    for (const heap of [this.#waiting, this.#scheduled]) {
      if (heap.size > 2 * this.#entries.size + MIN_HEAP) heap.retain(entry => this.isCurrent(entry))
    }
  }

  private dropOldestFailed(): void {
    const [oldest] = this.#failed
    if (this.#failed.size <= MAX_FAILED || oldest === undefined) return
    this.#entries.delete(oldest)
    this.#failed.delete(oldest)
  }

  private sorted(accepts: (task: Task) => boolean): Task[] {
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

function copyTask(task: Task): Task {
  const result = copyPlain(task.data)
  return { ...task, data: 'copy' in result ? result.copy : task.data }
}

function checkId(method: string, _id: unknown): string {
  if (typeof _id === 'string' && _id !== '') return _id
  throw new InvalidArgumentError(`inMemory.${method}._id`, _id, 'a string that is not empty')
}

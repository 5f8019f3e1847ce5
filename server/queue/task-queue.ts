import { Mongo } from 'meteor/mongo'
import { DuplicateTaskError, WrongProcessError } from '../../common/errors'
import { createId } from '../../common/id'
import { wrongValue } from '../../common/invalid'
import { isPlainObject } from '../../common/plain'
import { type NewTask, type Task, checkText, createTask, createTasks } from '../../common/task'
import { role } from '../role'
import { type ListenerOptions, type TaskEventListener, type TaskEventType, Listeners } from './listeners'
import type { InMemoryTasks } from './memory/in-memory-tasks'
import { MemoryQueue } from './memory/memory-queue'
import type { Retention } from './memory/retention'
import { add, addAll, checkSize } from './mongo/add'
import { cancelTask, startAnew } from './mongo/cancel'
import type { RawCollection, StoredTask } from './mongo/schema'
import { Signals } from './signals'

/**
 * The task queue: a `Mongo.Collection` of the persistent tasks, together with the in-memory tasks of this master. Any
 * process may find, change and remove persistent tasks with the collection's own methods.
 */
export class TaskQueueCollection extends Mongo.Collection<Task> {
  readonly #memory: MemoryQueue
  readonly #listeners: Listeners
  readonly #signals: Signals
  readonly #retention: Retention

  constructor(name: string, memory: MemoryQueue, listeners: Listeners, signals: Signals, retention: Retention) {
    // Invariant 11: keeps clients out, even with the packages `insecure` and `autopublish`. Meteor's types do not
    // declare `_preventAutopublish`.
    const closed: object = { defineMutationMethods: false, _preventAutopublish: true }
    super(name, closed)
    this.#memory = memory
    this.#listeners = listeners
    this.#signals = signals
    this.#retention = retention
  }

  /**
   * Adds a task to the queue, from the master or from a worker.
   *
   * @returns the task's `_id`, once a majority of MongoDB's members has acknowledged the task, or it is in memory
   * @throws InvalidArgumentError (rejects) naming the field, what was given and what is allowed; nothing is stored
   * @throws DuplicateTaskError (rejects) if a task with this `_id` is already in the queue
   * @throws WrongProcessError (rejects) for an in-memory task in a worker, or in an app without `new Cluster`
   */
  async addTask<Data>(newTask: NewTask<Data>): Promise<string>
  async addTask(newTask: NewTask, ...others: readonly unknown[]): Promise<string> {
    const task = createTask(newTask)
    refuseMore('addTask', others)
    if (newTask.inMemory !== true) await this.addPersistent(task)
    else if (this.addInMemory([task]).length > 0) throw new DuplicateTaskError([task._id])
    return task._id
  }

  /**
   * Adds many tasks in one write.
   *
   * @returns their `_id`s, in the same order, once a majority of MongoDB's members has acknowledged the tasks, or they
   * are in memory
   * @throws InvalidArgumentError (rejects) naming the index and the field; nothing is stored
   * @throws DuplicateTaskError (rejects) if tasks with some of these `_id`s are already in the queue: its `taskIds`.
   * All other tasks are stored
   * @throws WrongProcessError (rejects) as `addTask`; nothing is stored
   */
  async addTasks<Data>(newTasks: readonly NewTask<Data>[]): Promise<string[]>
  async addTasks(newTasks: readonly NewTask[], ...others: readonly unknown[]): Promise<string[]> {
    const tasks = createTasks(newTasks)
    refuseMore('addTasks', others)
    const inMemory: Task[] = []
    const persistent: Task[] = []
    for (const [index, task] of tasks.entries()) {
      const isInMemory = newTasks[index]?.inMemory === true
      if (!isInMemory) checkSize(`addTasks[${String(index)}]`, task)
      ;(isInMemory ? inMemory : persistent).push(task)
    }
    // Invariant 12: all checks come before the first write, so that nothing is stored when one fails.
    if (inMemory.length > 0) this.#memory.checkOpen()
    const taken = await addAll(persistent, this.rawCollection())
    for (const task of firstOfEachType(without(taken, persistent))) this.#signals.taskAdded(task)
    const duplicates = [...taken, ...this.addInMemory(inMemory)]
    if (duplicates.length > 0) throw new DuplicateTaskError(duplicates)
    return tasks.map(({ _id }) => _id)
  }

  /**
   * Cancels an unfinished task, from any process; an in-memory task on its master only. A task that is not running
   * becomes `cancelled` at once. If it is running, its job's `signal` is aborted: at once if `cancel` is called on the
   * master that runs the task or in one of its workers, otherwise at that master's next poll. The task becomes
   * `cancelled` when its job has finished or was killed, whatever the job reported. Cancelled tasks stay in the queue.
   *
   * @returns whether there was such a task
   * @throws InvalidArgumentError (rejects) if `_id` is not a non-empty string
   */
  async cancel(_id: string): Promise<boolean>
  async cancel(_id: string, ...others: readonly unknown[]): Promise<boolean> {
    checkId('cancel', _id)
    refuseMore('cancel', others)
    const { keepFailed } = this.#retention
    const cancellation = this.#memory.cancel(_id) ?? (await cancelTask(this.rawCollection(), _id, keepFailed))
    if (cancellation !== undefined) this.#signals.taskCancelled(cancellation)
    return cancellation !== undefined
  }

  /**
   * Starts a failed or cancelled task anew, from any process; an in-memory task on its master only. The task is due
   * now, and has all its retries again.
   *
   * @returns whether there was such a task; a running task with a pending cancel is not one
   * @throws InvalidArgumentError (rejects) if `_id` is not a non-empty string
   */
  async retry(_id: string): Promise<boolean>
  async retry(_id: string, ...others: readonly unknown[]): Promise<boolean> {
    checkId('retry', _id)
    refuseMore('retry', others)
    const inMemory = this.#memory.startAnew(_id)
    if (inMemory !== undefined) {
      this.#signals.master?.inMemoryTaskAdded(inMemory)
      return true
    }
    const task = await startAnew(this.rawCollection(), _id)
    if (task !== undefined) this.#signals.taskAdded(task)
    return task !== undefined
  }

  /**
   * Adds a listener for an event type, on the master only. An event type may have several listeners. A function that is
   * added repeatedly is called once for each event.
   *
   * @param options.taskType only the events of tasks of this type; default: of all types
   * @throws InvalidArgumentError for an unknown event type or option, or if the listener is not a function
   * @throws WrongProcessError in a worker
   */
  addEventListener<Type extends TaskEventType>(
    eventType: Type,
    listener: TaskEventListener<Type>,
    options?: ListenerOptions,
  ): void {
    this.#listeners.add(eventType, listener, options)
  }

  /**
   * Removes a listener of an event type, on the master only. Does nothing if the listener was not added.
   *
   * @param listener default: all listeners of this event type
   * @throws InvalidArgumentError for an unknown event type, or if the listener is not a function
   * @throws WrongProcessError in a worker
   */
  removeEventListener<Type extends TaskEventType>(eventType: Type, listener?: TaskEventListener<Type>): void {
    this.#listeners.remove(eventType, listener)
  }

  /**
   * The in-memory tasks of this master.
   *
   * @throws WrongProcessError in a worker
   */
  get inMemory(): InMemoryTasks {
    if (role === 'worker') {
      throw new WrongProcessError(
        'TaskQueue.inMemory is on the master only, and this is a worker: workers have no in-memory tasks.',
      )
    }
    return this.#memory
  }

  /** @returns and throws as `MemoryQueue.add` */
  private addInMemory(tasks: readonly Task[]): string[] {
    if (tasks.length === 0) return []
    const duplicates = this.#memory.add(tasks)
    for (const task of firstOfEachType(without(duplicates, tasks))) this.#signals.master?.inMemoryTaskAdded(task)
    return duplicates
  }

  /**
   * An idle master stores the task already claimed, also when one of its workers adds it. The job then starts after one
   * write instead of two.
   */
  private async addPersistent(task: Task): Promise<void> {
    checkSize('addTask', task)
    if (await this.#signals.addClaimed(task)) return
    await add(task, this.rawCollection())
    this.#signals.taskAdded(task)
  }
}

function checkId(method: string, _id: unknown): void {
  const field = `${method}._id`
  if (Array.isArray(_id)) throw wrongValue(field, _id, 'a non-empty string', 'Call it once for each task.')
  if (isPlainObject(_id)) throw wrongValue(field, _id, 'a non-empty string', "Use the task's _id.")
  checkText(field, _id)
}

/** Callers may still pass a callback, as in 2.x, or options, as in other queues. */
function refuseMore(method: string, others: readonly unknown[]): void {
  const [other] = others
  if (other === undefined) return
  const hint = typeof other === 'function' ? `${method} returns a promise: await it.` : 'Put it into the first.'
  throw wrongValue(`${method}: the second argument`, other, 'none', hint)
}

function without(ids: readonly string[], tasks: readonly Task[]): readonly Task[] {
  const excluded = new Set(ids)
  return tasks.filter(({ _id }) => !excluded.has(_id))
}

/** For each type: the due task with the highest priority, and the earliest of the scheduled tasks. */
function firstOfEachType(tasks: readonly Task[]): Iterable<Task> {
  const first = new Map<string, Task>()
  for (const task of tasks) {
    const { dueDate, priority, state, taskType } = task
    const known = first.get(state + taskType)
    const isFirst = known === undefined || (state === 'scheduled' ? dueDate < known.dueDate : priority > known.priority)
    if (isFirst) first.set(state + taskType, task)
  }
  return first.values()
}

/** Set by the cluster of this process, if there is one. */
export const retention: Retention = { keepFailed: null }
export const memoryQueue = new MemoryQueue(createId(), retention)
export const listeners = new Listeners()
export const signals = new Signals()
const QUEUE_NAME = 'taskQueue'
export const TaskQueue = new TaskQueueCollection(QUEUE_NAME, memoryQueue, listeners, signals, retention)

/**
 * The collection of the queue's documents. Whatever the connection string prefers, reads go to the primary, so that
 * they see what was just written.
 */
export function storedTasks(): RawCollection {
  return TaskQueue.rawDatabase().collection<StoredTask>(QUEUE_NAME, { readPreference: 'primary' })
}

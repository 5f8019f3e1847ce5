import { Mongo } from 'meteor/mongo'
import { Random } from 'meteor/random'
import { DuplicateTaskError, WrongProcessError } from '../../common/errors'
import { type NewTask, type Task, createTask } from '../../common/task'
import { role } from '../role'
import { type TaskEventListener, type TaskEventType, Listeners } from './listeners'
import type { InMemoryTasks } from './in-memory-tasks'
import { MemoryQueue } from './memory-queue'
import { WakeUp } from './wake-up'

/** MongoDB's code for a value that a unique index holds already. */
const DUPLICATE_KEY = 11_000

/**
 * The queue: a `Mongo.Collection` of persistent tasks, with the in-memory tasks of this master beside it. Tasks may be found,
 * changed and removed with the collection's own methods, from any process.
 */
export class TaskQueueCollection extends Mongo.Collection<Task> {
  readonly #memory: MemoryQueue
  readonly #listeners: Listeners
  readonly #wakeUp: WakeUp

  constructor(name: string, memory: MemoryQueue, listeners: Listeners, wakeUp: WakeUp) {
    // Keeps clients out, with the `insecure` and `autopublish` packages too. The types do not know the second.
    const closed: object = { defineMutationMethods: false, _preventAutopublish: true }
    super(name, closed)
    this.#memory = memory
    this.#listeners = listeners
    this.#wakeUp = wakeUp
  }

  /**
   * Adds a task to the queue, from the master or from a worker.
   *
   * @returns the task's `_id`, once MongoDB has acknowledged the task to a majority, or it is in memory
   * @throws InvalidArgumentError (rejects) naming the field, what was given and what is allowed; nothing is stored
   * @throws DuplicateTaskError (rejects) when a task with this `_id` is in the queue
   * @throws WrongProcessError (rejects) for an in-memory task on a worker, or in an app without `new Cluster`
   */
  async addTask<Data>(newTask: NewTask<Data>): Promise<string> {
    const task = createTask(newTask, () => Random.id())
    if (newTask.inMemory === true) this.#memory.add(task)
    else await store(task, this)
    this.#wakeUp.nudge(task.taskType)
    return task._id
  }

  /**
   * Sets the listener for an event type, in place of the one before. On the master only.
   *
   * @throws InvalidArgumentError for another event type, or when the listener is no function
   * @throws WrongProcessError on a worker
   */
  addEventListener<Type extends TaskEventType>(eventType: Type, listener: TaskEventListener<Type>): void {
    this.#listeners.set(eventType, listener)
  }

  /**
   * Removes the listener of an event type, if there is one. On the master only.
   *
   * @throws InvalidArgumentError for another event type
   * @throws WrongProcessError on a worker
   */
  removeEventListener(eventType: TaskEventType): void {
    this.#listeners.remove(eventType)
  }

  /**
   * The in-memory tasks of this master.
   *
   * @throws WrongProcessError on a worker
   */
  get inMemory(): InMemoryTasks {
    if (role === 'worker') {
      throw new WrongProcessError('TaskQueue.inMemory is on the master only; a worker has no in-memory tasks.')
    }
    return this.#memory
  }
}

/** A unique index of the application's own on this collection reports the same code. */
function isTaken(error: unknown): boolean {
  const { code, keyPattern } = error as { code?: unknown; keyPattern?: object }
  return code === DUPLICATE_KEY && Object.hasOwn(keyPattern ?? { _id: 1 }, '_id')
}

/** Not a method: on the collection it would hide one of Meteor's. */
async function store(task: Task, collection: TaskQueueCollection): Promise<void> {
  try {
    await collection.rawCollection().insertOne(task, { writeConcern: { w: 'majority' } })
  } catch (error) {
    if (isTaken(error)) throw new DuplicateTaskError(task._id, { cause: error })
    throw error
  }
}

export const memoryQueue = new MemoryQueue(() => Random.id())
export const listeners = new Listeners()
export const wakeUp = new WakeUp()
export const TaskQueue = new TaskQueueCollection('taskQueue', memoryQueue, listeners, wakeUp)

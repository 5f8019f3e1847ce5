import { Mongo } from 'meteor/mongo'
import { DuplicateTaskError, WrongProcessError } from '../../common/errors'
import type { AcceptedType, NewTaskOf, ResultOf } from '../../common/register'
import { type NewTask, type Task, checkText, createTask, createTasks } from '../../common/task'
import { role } from '../role'
import { checkId, refuseMore } from './arguments'
import { Followers, type ObserveCallbacks, type Subscription } from './followers'
import { type FindForOptions, queryFor } from './find-for'
import { type ListenerOptions, type TaskEventListener, type TaskEventType, type Listeners } from './listeners'
import type { InMemoryTasks } from './memory/in-memory-tasks'
import { checkSize } from './mongo/add'
import { type CountOptions, type TaskCounts, checkCountOptions, countTasks } from './mongo/counts'
import type { RawCollection } from './mongo/documents/schema'
import type { Queue } from './queue'
import { type Results, checkWaitOptions } from './results/results'
import type { WaitOptions } from './results/wait-limit'
import type { ScheduleStatus, Schedules } from './schedules/schedules'
import type { Schemas } from './schemas'

export interface TaskQueueParts {
  readonly listeners: Listeners
  readonly memory: InMemoryTasks
  readonly queue: Queue
  readonly results: Results
  readonly schedules: Schedules
  readonly schemas: Schemas
  /** The documents of the persistent tasks. */
  readonly tasks: () => RawCollection
}

/**
 * The task queue: a `Mongo.Collection` of the persistent tasks, together with the in-memory tasks of this master. Any
 * process may find, change and remove persistent tasks with the collection's own methods.
 */
export class TaskQueueCollection extends Mongo.Collection<Task> {
  readonly #parts: TaskQueueParts
  readonly #followers: Followers

  constructor(name: string, parts: TaskQueueParts) {
    // Invariant 11: keeps clients out, even with the packages `insecure` and `autopublish`. Meteor's types do not
    // declare `_preventAutopublish`.
    const closed: object = { defineMutationMethods: false, _preventAutopublish: true }
    super(name, closed)
    this.#parts = parts
    this.#followers = new Followers(name)
  }

  /**
   * Adds a task to the queue, from the master or from a worker.
   *
   * @returns the task's `_id`, once a majority of MongoDB's members has acknowledged the task, or it is in memory
   * @throws InvalidArgumentError (rejects) naming the field, what was given and what is allowed; nothing is stored
   * @throws InvalidDataError (rejects) if the type has a schema in this process, and the data does not fit it
   * @throws DuplicateTaskError (rejects) if a task with this `_id` is already in the queue
   * @throws WrongProcessError (rejects) for an in-memory task in a worker, or in an app without `new Cluster`
   */
  async addTask<Data = unknown, const Type extends string = string>(newTask: NewTaskOf<Type, Data>): Promise<string>
  async addTask(newTask: NewTask, ...others: readonly unknown[]): Promise<string> {
    const task = createTask(newTask)
    refuseMore('addTask', others)
    const inMemory = newTask.inMemory === true
    if (!inMemory) checkSize('addTask', task)
    await this.#parts.schemas.check([task])
    await this.#parts.queue.add(task, inMemory)
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
  async addTasks<Data = unknown, const Type extends string = string>(
    newTasks: readonly NewTaskOf<Type, Data>[],
  ): Promise<string[]>
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
    await this.#parts.schemas.check(tasks, 'addTasks')
    const duplicates = await this.#parts.queue.addAll(persistent, inMemory)
    if (duplicates.length > 0) throw new DuplicateTaskError(duplicates)
    return tasks.map(({ _id }) => _id)
  }

  /**
   * Adds a task and waits for its result, from any process; for an in-memory task on the master only. With a given
   * `_id`, it joins the task of this `_id` and type that is in the queue or kept, if there is one. In a job, a task
   * without a `priority` or `dueDate` of its own comes before those that wait behind the job.
   *
   * @param options.signal when it is aborted, the task that this call has added is cancelled, and the call rejects with
   * its reason. A task that it has joined goes on
   * @param options.timeout milliseconds to wait; the task goes on after it
   * @returns what the task function returned: what `data` may hold, at most 1 MB
   * @throws the error of the task if it fails (rejects), of the same class if that is the package's or `Meteor.Error`
   * @throws TaskCancelledError (rejects) if the task is cancelled
   * @throws TaskRemovedError (rejects) if the task is removed before it has ended
   * @throws WaitTimeoutError (rejects) after `timeout`
   * @throws WrongProcessError (rejects) in a worker, outside a job; or for an in-memory task, as `addTask`
   * @throws InvalidArgumentError (rejects) as `addTask`, or for a wrong option
   * @throws DuplicateTaskError (rejects) if a task of another type has this `_id`
   */
  async run<Result = unknown, const Type extends string = string>(
    newTask: NewTaskOf<Type, unknown>,
    options?: WaitOptions,
  ): Promise<ResultOf<Type, Result>>
  run(newTask: NewTask, options: WaitOptions = {}, ...others: readonly unknown[]): Promise<unknown> {
    return unlessLeft(this.addAndWait(newTask, options, others))
  }

  private async addAndWait(newTask: NewTask, options: WaitOptions, others: readonly unknown[]): Promise<unknown> {
    const created = createTask(newTask, 'run')
    const task: Task = { ...created, ...this.#parts.results.fieldsOf(newTask), awaited: 'result' }
    const limits = checkWaitOptions('run', options)
    refuseMore('run', others)
    const inMemory = newTask.inMemory === true
    if (!inMemory) checkSize('run', task)
    await this.#parts.schemas.check([task])
    return this.#parts.results.run(task, inMemory, limits)
  }

  /**
   * Waits for the result of a task that is in the queue or kept, from any process; of an in-memory task on its master
   * only.
   *
   * @param options.signal when it is aborted, the call rejects with its reason; the task goes on
   * @throws as `run` (rejects); TaskRemovedError also if there is no such task
   */
  async result<Result = unknown>(_id: string, options?: WaitOptions): Promise<Result>
  result(_id: string, options: WaitOptions = {}, ...others: readonly unknown[]): Promise<unknown> {
    return unlessLeft(this.waitFor(_id, options, others))
  }

  private async waitFor(_id: string, options: WaitOptions, others: readonly unknown[]): Promise<unknown> {
    checkId('result', _id)
    const limits = checkWaitOptions('result', options)
    refuseMore('result', others)
    return this.#parts.results.result(_id, limits)
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
    return this.#parts.queue.cancel(_id)
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
    return this.#parts.queue.startAnew(_id)
  }

  /**
   * Pauses a task type, from any process and for every master: none of its tasks start until `resume` is called.
   * Running jobs go on, and tasks may be added. The master of this process and its workers knows of it at once, the
   * others within two `refreshRate`s.
   *
   * @returns whether the type was not paused before, once a majority of MongoDB's members has acknowledged the pause
   * @throws InvalidArgumentError (rejects) if `taskType` is not a non-empty string
   */
  // eslint-disable-next-line @typescript-eslint/no-duplicate-type-constituents -- they differ once types are registered
  async pause<const Type extends string>(taskType: Type & AcceptedType<Type>): Promise<boolean>
  async pause(taskType: string, ...others: readonly unknown[]): Promise<boolean> {
    checkText('pause.taskType', taskType)
    refuseMore('pause', others)
    return this.#parts.queue.pause(taskType)
  }

  /**
   * Resumes a task type, from any process and for every master, as `pause`.
   *
   * @returns whether the type was paused
   * @throws InvalidArgumentError (rejects) if `taskType` is not a non-empty string
   */
  // eslint-disable-next-line @typescript-eslint/no-duplicate-type-constituents -- they differ once types are registered
  async resume<const Type extends string>(taskType: Type & AcceptedType<Type>): Promise<boolean>
  async resume(taskType: string, ...others: readonly unknown[]): Promise<boolean> {
    checkText('resume.taskType', taskType)
    refuseMore('resume', others)
    return this.#parts.queue.resume(taskType)
  }

  /**
   * The schedules of this app, from any process.
   *
   * @throws WrongProcessError (rejects) if the name of the app is not known: neither the option `app` nor `APP_ID` is
   * set
   */
  async schedules(): Promise<ScheduleStatus[]>
  async schedules(...others: readonly unknown[]): Promise<ScheduleStatus[]> {
    refuseMore('schedules', others, 'first')
    return this.#parts.schedules.list()
  }

  /**
   * Adds a task as the schedule does, now: from any process, even while the schedule is paused or its last task has not
   * ended. Its ticks are not changed.
   *
   * @returns the `_id` of the task, which is a new one
   * @throws InvalidArgumentError (rejects) if this app has no schedule of this name
   * @throws InvalidDataError (rejects) as `addTask`
   * @throws WrongProcessError (rejects) as `schedules`
   */
  async runSchedule(name: string): Promise<string>
  async runSchedule(name: string, ...others: readonly unknown[]): Promise<string> {
    refuseMore('runSchedule', others)
    return this.#parts.schedules.run(name)
  }

  /**
   * Pauses a schedule, from any process and for every master, until `resumeSchedule` is called; a restart does not
   * resume it. A task that was added before still runs.
   *
   * @returns whether the schedule was not paused before
   * @throws as `runSchedule` (rejects)
   */
  async pauseSchedule(name: string): Promise<boolean>
  async pauseSchedule(name: string, ...others: readonly unknown[]): Promise<boolean> {
    refuseMore('pauseSchedule', others)
    return this.#parts.schedules.pause(name)
  }

  /**
   * Resumes a schedule, from any process and for every master. Ticks missed during the pause are skipped. The master of
   * this process knows of it at once, the others within a third of their `leaseDuration`.
   *
   * @returns whether the schedule was paused
   * @throws as `runSchedule` (rejects)
   */
  async resumeSchedule(name: string): Promise<boolean>
  async resumeSchedule(name: string, ...others: readonly unknown[]): Promise<boolean> {
    refuseMore('resumeSchedule', others)
    return this.#parts.schedules.resume(name)
  }

  /**
   * The persistent tasks that have this `audience`, for a publication: a cursor that shows their `taskType`, `state`,
   * `progress`, `attempts`, `createdAt`, `startedAt`, `endedAt` and `audience`.
   *
   * @param audience one string; null (a client that is not logged in) finds nothing
   * @param options.fields further fields to show: `{ result: 1, 'error.message': 1 }`
   * @throws InvalidArgumentError for any other audience, undefined included
   */
  findFor(audience: string | null, options: FindForOptions = {}): Mongo.Cursor<Task> {
    const { fields, ofAll, selector } = queryFor(audience, options)
    const cursor = this.find(selector, { fields })
    if (ofAll === undefined) return cursor
    // Meteor's types do not say that it is a promise.
    const observe = (callbacks: ObserveCallbacks) =>
      Promise.resolve(this.find(ofAll.selector, { fields }).observeChanges(callbacks, { nonMutatingCallbacks: true }))
    const publish = (subscription: Subscription) => this.#followers.publish(subscription, { ...ofAll, observe })
    // Meteor calls this method of a cursor that a publication returns.
    return Object.assign(cursor, { _publishCursor: publish })
  }

  /**
   * How many persistent tasks there are in each state, from any process.
   *
   * @param options.limit how many of each state are counted at most; default 10,000
   * @throws InvalidArgumentError (rejects)
   */
  async counts(options?: CountOptions): Promise<TaskCounts>
  async counts(options: CountOptions = {}, ...others: readonly unknown[]): Promise<TaskCounts> {
    refuseMore('counts', others)
    return countTasks(this.#parts.tasks(), checkCountOptions(options))
  }

  /**
   * Adds a listener for an event type, on the master only. A function that is added repeatedly is called once for each
   * event.
   *
   * @param options.taskType only the events of tasks of this type; default: of all types
   * @returns `stop` removes what this call has added
   * @throws InvalidArgumentError for an unknown event type or option, or if the listener is not a function
   * @throws WrongProcessError in a worker
   */
  on<Event extends TaskEventType, const Type extends string = string>(
    eventType: Event,
    listener: TaskEventListener<Event, Type>,
    options?: ListenerOptions<Type> & { readonly taskType?: AcceptedType<Type> },
  ): { readonly stop: () => void }
  on(
    eventType: TaskEventType,
    listener: TaskEventListener<TaskEventType>,
    options?: ListenerOptions,
  ): { readonly stop: () => void } {
    return { stop: this.#parts.listeners.add(eventType, listener, options) }
  }

  /**
   * Adds a listener for an event type, on the master only. An event type may have several listeners. A function that is
   * added repeatedly is called once for each event.
   *
   * @param options.taskType only the events of tasks of this type; default: of all types
   * @throws InvalidArgumentError for an unknown event type or option, or if the listener is not a function
   * @throws WrongProcessError in a worker
   */
  addEventListener<Event extends TaskEventType, const Type extends string = string>(
    eventType: Event,
    listener: TaskEventListener<Event, Type>,
    options?: ListenerOptions<Type> & { readonly taskType?: AcceptedType<Type> },
  ): void
  addEventListener(
    eventType: TaskEventType,
    listener: TaskEventListener<TaskEventType>,
    options?: ListenerOptions,
  ): void {
    this.#parts.listeners.add(eventType, listener, options, 'addEventListener')
  }

  /**
   * Removes a listener that `addEventListener` has added, on the master only. Does nothing if it was not added.
   *
   * @param listener default: all listeners of this event type
   * @throws InvalidArgumentError for an unknown event type, or if the listener is not a function
   * @throws WrongProcessError in a worker
   */
  removeEventListener<Event extends TaskEventType, const Type extends string = string>(
    eventType: Event,
    listener?: TaskEventListener<Event, Type>,
  ): void
  removeEventListener(eventType: TaskEventType, listener?: TaskEventListener<TaskEventType>): void {
    this.#parts.listeners.remove(eventType, listener)
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
    return this.#parts.memory
  }
}

/** A job need not await its waiting. Even then, a rejection must not end the worker, and its other jobs with it. */
function unlessLeft<Value>(waiting: Promise<Value>): Promise<Value> {
  if (role === 'worker') waiting.catch(() => undefined)
  return waiting
}

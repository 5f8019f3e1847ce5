import type { TaskSignal } from '../../../../common/task'
import { ChangeStream, type StreamListener } from './change-stream'
import { HAS_UNKNOWN_STATE, type RawCollection } from '../documents/schema'

/**
 * The feed ignores at most MAX_OWN_TASKS tasks that this process added, each for OWN_MS or until the feed reports it.
 * Some it never reports: those that were retried, and those of other apps' types.
 */
const MAX_OWN_TASKS = 10_000
const OWN_MS = 5000

/** What other processes do to the queue. */
export interface FeedListener {
  /** The feed is open, for the first time or again. It does not report what happened before. */
  feedOpened(): void
  /** Another process added a task. */
  feedTaskAdded(task: TaskSignal): void
  /** A task has another due date, or may be claimed again. @param dueDate the new due date, if it has changed */
  taskChanged(dueDate: Date | undefined): void
  /** A task that was about to be claimed is not due yet. It is `scheduled`, and its due date may be near. */
  taskPostponed(): void
  /** Somebody wrote a document without a state, as 2.x does, or with a state that no version uses. */
  foreignTaskAdded(hasState: boolean): void
  /** `TaskQueue.cancel` was called for a running task. */
  cancelRequested(_id: string): void
  /** The collection was dropped or renamed. The feed reopens soon, on the collection that replaces it. */
  collectionDropped(): void
  /** The feed could not be opened, or broke. It tries again, unless the server has no change streams. */
  feedFailed(error: unknown): void
}

interface Change {
  readonly operationType: string
  readonly documentKey: { readonly _id: string }
  readonly task?: Omit<TaskSignal, '_id' | 'state'> & { readonly state: unknown }
  readonly updated?: { readonly dueDate?: Date; readonly state?: string; readonly cancelRequestedAt?: Date }
}

/**
 * Reports what other processes do to the queue, through one change stream. Each event is a hint; the tick finds what no
 * event reported.
 */
export class ChangeFeed implements StreamListener {
  readonly #stream: ChangeStream
  #listener: FeedListener | undefined
  /** When this process added each task (performance.now), by `_id`; the oldest first. */
  readonly #own = new Map<string, number>()

  constructor(tasks: RawCollection, taskTypes: readonly string[]) {
    this.#stream = new ChangeStream(tasks, [{ $match: relevantTo(taskTypes) }, { $project: IN_SHORT }], this)
  }

  listen(listener: FeedListener): void {
    this.#listener = listener
  }

  /** Whether the feed reports every change, as far as is known. */
  get isOpen(): boolean {
    return this.#stream.isOpen
  }

  /** Does nothing when the feed is started already, or the server has no change streams. */
  start(): void {
    this.#stream.start()
  }

  async stop(): Promise<void> {
    await this.#stream.stop()
  }

  /** This process added the task itself, so the feed need not report it. */
  ignore(_id: string): void {
    if (!this.isOpen) return
    this.#own.set(_id, performance.now())
    if (this.#own.size > MAX_OWN_TASKS) this.#own.delete(this.#own.keys().next().value ?? '')
  }

  opened(): void {
    // What it has not reported by now, it never does.
    this.#own.clear()
    this.#listener?.feedOpened()
  }

  changed(change: object): void {
    this.report(change as Change)
  }

  collectionDropped(): void {
    this.#listener?.collectionDropped()
  }

  failed(error: unknown): void {
    this.#listener?.feedFailed(error)
  }

  private report({ operationType, documentKey: { _id }, task, updated = {} }: Change): void {
    if (operationType !== 'update') this.reportAdded(_id, task)
    else if (updated.cancelRequestedAt !== undefined) this.#listener?.cancelRequested(_id)
    else if (updated.state !== undefined && !isQueued(updated.state)) this.#listener?.foreignTaskAdded(true)
    else if (updated.state === 'scheduled' && updated.dueDate === undefined) this.#listener?.taskPostponed()
    else this.#listener?.taskChanged(updated.dueDate)
  }

  private reportAdded(_id: string, task: Change['task']): void {
    if (task === undefined) return
    const { state } = task
    if (!isQueued(state)) this.#listener?.foreignTaskAdded((state ?? undefined) !== undefined)
    else if (!this.forgetOwn(_id)) this.#listener?.feedTaskAdded({ ...task, _id, state })
  }

  /** Whether this process added the task, and the feed reports it for the first time. Forgets the task. */
  private forgetOwn(_id: string): boolean {
    const addedAt = this.#own.get(_id) ?? -Infinity
    this.#own.delete(_id)
    return performance.now() - addedAt < OWN_MS
  }
}

function isQueued(state: unknown): state is 'waiting' | 'scheduled' {
  return state === 'waiting' || state === 'scheduled'
}

const UPDATED = 'updateDescription.updatedFields'

/** Matches the changes after which this master may have something to do. */
function relevantTo(taskTypes: readonly string[]): object {
  const isOurs = {
    'fullDocument.state': { $in: ['waiting', 'scheduled'] },
    'fullDocument.taskType': { $in: taskTypes },
  }
  const isForeign = { 'fullDocument.state': HAS_UNKNOWN_STATE.state }
  return {
    $or: [
      { operationType: 'invalidate' },
      { operationType: { $in: ['insert', 'replace'] }, $or: [isOurs, isForeign] },
      { operationType: 'update', [`${UPDATED}.state`]: { $in: ['waiting', 'scheduled'] } },
      { operationType: 'update', [`${UPDATED}.state`]: { $exists: true, ...HAS_UNKNOWN_STATE.state } },
      { operationType: 'update', [`${UPDATED}.dueDate`]: { $exists: true } },
      { operationType: 'update', [`${UPDATED}.cancelRequestedAt`]: { $exists: true } },
    ],
  }
}

/** The fields of a change that its report needs. */
const IN_SHORT = {
  operationType: 1,
  documentKey: 1,
  task: {
    state: '$fullDocument.state',
    taskType: '$fullDocument.taskType',
    priority: '$fullDocument.priority',
    dueDate: '$fullDocument.dueDate',
  },
  updated: {
    state: `$${UPDATED}.state`,
    dueDate: `$${UPDATED}.dueDate`,
    cancelRequestedAt: `$${UPDATED}.cancelRequestedAt`,
  },
}

import { setTimeout as pause } from 'node:timers/promises'
import type { TaskSignal } from '../../../common/task'
import { HAS_UNKNOWN_STATE, type RawCollection } from './schema'

/** How long the server waits for a change before it sends an empty reply. An idle feed sends no other command. */
const MAX_AWAIT_MS = 10_000
const REOPEN_AFTER_MS = 1000

/**
 * The longest pause. It doubles after each error reply of MongoDB: permissions, for example, do not change within a
 * second.
 */
const REOPEN_AFTER_MAX_MS = 60_000

/** MongoDB's codes for a server without change streams: a standalone server, or one that does not know the stage. */
const UNSUPPORTED = [40_573, 40_324]

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
  /** The feed could not be opened, or broke. @param isFinal the reason is permanent, and the feed does not try again */
  feedFailed(error: unknown, isFinal: boolean): void
}

interface Change {
  readonly operationType: string
  readonly documentKey: { readonly _id: string }
  readonly task?: Omit<TaskSignal, '_id'> & { readonly state: unknown }
  readonly updated?: { readonly dueDate?: Date; readonly state?: string; readonly cancelRequestedAt?: Date }
}

/**
 * Reports what other processes do to the queue, through one change stream. Each event is a hint; the tick finds what no
 * event reported. When the stream breaks, the driver resumes it, or the feed opens a new one.
 */
export class ChangeFeed {
  readonly #tasks: RawCollection
  readonly #taskTypes: readonly string[]
  #listener: FeedListener | undefined
  /** When this process added each task (performance.now), by `_id`; the oldest first. */
  readonly #own = new Map<string, number>()
  #stream: ReturnType<RawCollection['watch']> | undefined
  /** Set while the feed is started. */
  #stopping: AbortController | undefined
  #isOpen = false
  #isUnsupported = false
  /**
   * The pause after the last failure, in milliseconds, and when it ends (performance.now). A stop does not shorten it.
   */
  #pause = 0
  #reopenAt = 0

  constructor(tasks: RawCollection, taskTypes: readonly string[]) {
    this.#tasks = tasks
    this.#taskTypes = taskTypes
  }

  listen(listener: FeedListener): void {
    this.#listener = listener
  }

  /** Whether the feed reports every change, as far as is known. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Does nothing when the feed is started already, or the server has no change streams. */
  start(): void {
    if (this.#stopping !== undefined || this.#isUnsupported) return
    this.#stopping = new AbortController()
    void this.keepOpen(this.#stopping.signal)
  }

  async stop(): Promise<void> {
    this.#stopping?.abort()
    this.#stopping = undefined
    this.#isOpen = false
    await this.#stream?.close()
  }

  /** This process added the task itself, so the feed need not report it. */
  ignore(_id: string): void {
    if (!this.#isOpen) return
    this.#own.set(_id, performance.now())
    if (this.#own.size > MAX_OWN_TASKS) this.#own.delete(this.#own.keys().next().value ?? '')
  }

  private async keepOpen(stopped: AbortSignal): Promise<void> {
    for (;;) {
      const left = Math.max(0, this.#reopenAt - performance.now())
      // A stop ends the pause with a rejection.
      await pause(left, undefined, { signal: stopped, ref: false }).catch(() => undefined)
      if (stopped.aborted) return
      await this.open(stopped)
      if (this.#isUnsupported) return
    }
  }

  private async open(stopped: AbortSignal): Promise<void> {
    const startedAt = performance.now()
    try {
      await this.read(stopped)
      this.reopenIn(REOPEN_AFTER_MS)
    } catch (error) {
      // A stop breaks the stream too.
      if (!stopped.aborted) this.failed(error, performance.now() - startedAt)
    }
  }

  /** @param lasted milliseconds for which the feed was open, or being opened */
  private failed(error: unknown, lasted: number): void {
    const { code } = error as { code?: unknown }
    this.#isUnsupported = UNSUPPORTED.includes(Number(code))
    this.#listener?.feedFailed(error, this.#isUnsupported)
    const isRefused = typeof code === 'number' && lasted < REOPEN_AFTER_MAX_MS
    this.reopenIn(isRefused ? Math.min(2 * this.#pause, REOPEN_AFTER_MAX_MS) : 0)
  }

  private reopenIn(milliseconds: number): void {
    this.#pause = Math.max(milliseconds, REOPEN_AFTER_MS)
    this.#reopenAt = performance.now() + this.#pause
  }

  /** Reads until the collection is dropped or renamed, or the stream breaks. */
  private async read(stopped: AbortSignal): Promise<void> {
    const stream = this.#tasks.watch([{ $match: relevantTo(this.#taskTypes) }, { $project: IN_SHORT }], {
      maxAwaitTimeMS: MAX_AWAIT_MS,
    })
    this.#stream = stream
    this.#own.clear()
    // Emitted for the first reply of the server.
    stream.once('resumeTokenChanged', () => {
      if (this.#stream !== stream) return
      this.#isOpen = !stopped.aborted
      if (this.#isOpen) this.#listener?.feedOpened()
    })
    try {
      for await (const change of stream) {
        // The last event of this stream.
        if (change.operationType === 'invalidate') {
          this.#listener?.collectionDropped()
          return
        }
        this.report(change as unknown as Change)
      }
    } finally {
      // Another stream may be open by now.
      if (this.#stream === stream) this.#isOpen = false
      await stream.close()
    }
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
    if (!isQueued(task.state)) this.#listener?.foreignTaskAdded((task.state ?? undefined) !== undefined)
    else if (!this.forgetOwn(_id)) this.#listener?.feedTaskAdded(signalFor(_id, task))
  }

  /** Whether this process added the task, and the feed reports it for the first time. Forgets the task. */
  private forgetOwn(_id: string): boolean {
    const addedAt = this.#own.get(_id) ?? -Infinity
    this.#own.delete(_id)
    return performance.now() - addedAt < OWN_MS
  }
}

function isQueued(state: unknown): boolean {
  return state === 'waiting' || state === 'scheduled'
}

/** A waiting task is due, even if the clock of the process that added it is ahead of this one's. */
function signalFor(_id: string, { state, taskType, priority, dueDate }: NonNullable<Change['task']>): TaskSignal {
  return { _id, taskType, priority, dueDate: state === 'waiting' ? new Date(0) : dueDate }
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

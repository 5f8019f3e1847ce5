import type { Awaited, EndSource, Ending } from '../../../common/ending'
import {
  ClusterStoppedError,
  DuplicateTaskError,
  LeaseLostError,
  TaskCancelledError,
  TaskRemovedError,
  withoutWish,
} from '../../../common/errors'
import { checkNames, millisecondsHint, wrongValue } from '../../../common/invalid'
import { createLog } from '../../../common/log'
import { isPlainObject } from '../../../common/plain'
import { TIMER_ALLOWED, isTimer } from '../../../common/policy'
import type { NewTask, Task } from '../../../common/task'
import type { Queue } from '../queue'
import { WaitLimit, type WaitOptions } from './wait-limit'

type ResultQueue = Pick<Queue, 'cancelOnly' | 'hooks' | 'markAwaited' | 'startAnew' | 'store'>

/** Waits for the results of tasks. */
export class Results {
  readonly #queue: ResultQueue
  #source: EndSource

  constructor(queue: ResultQueue, source: EndSource) {
    this.#queue = queue
    this.#source = source
  }

  /** In a worker: its master finds out how tasks end. */
  useSource(source: EndSource): void {
    this.#source = source
  }

  /**
   * The fields that depend on where `run` is called. Unless the caller says otherwise, what a job runs comes before the
   * tasks that wait behind the job: else these would start first, each in the slot that the one before it lends.
   * `isChild` recognizes it.
   */
  fieldsOf({ priority, dueDate }: NewTask): Pick<Task, 'runBy'> & Partial<Pick<Task, 'priority' | 'dueDate'>> {
    const { parent } = this.#source
    if (parent === undefined) return { runBy: 'caller' }
    const before = new Date(parent.dueDate.getTime() - 1)
    return {
      runBy: 'job',
      ...(priority === undefined ? { priority: parent.priority } : {}),
      // The clock of whoever added the job may be ahead.
      ...(dueDate === undefined && before < new Date() ? { dueDate: before } : {}),
    }
  }

  /** Adds the task, or joins the one that has its `_id` and type; resolves to the result. */
  run(task: Task, inMemory: boolean, options: WaitOptions): Promise<unknown> {
    return withLimit(task._id, options, async limit => {
      for (;;) {
        const added = await this.addAndWait(task, inMemory, limit)
        if (!(added instanceof DuplicateTaskError)) return valueOf(added)
        const other = await limit.race(this.#queue.markAwaited(task._id, inMemory))
        // It has left the queue since: the `_id` is free.
        if (other === undefined) continue
        if (other.taskType !== task.taskType) throw added
        if (!this.isLeftBehind(other)) return this.waitFor(other, limit)
        await limit.race(this.#queue.startAnew(task._id))
      }
    })
  }

  /** Waits for a task that is in the queue. */
  result(_id: string, options: WaitOptions): Promise<unknown> {
    return withLimit(_id, options, async limit => {
      this.#source.checkMayWait()
      const inMemory = await limit.race(this.#queue.markAwaited(_id, true))
      const task = inMemory ?? (await limit.race(this.#queue.markAwaited(_id, false)))
      if (task === undefined) throw new TaskRemovedError(_id)
      return this.waitFor(task, limit)
    })
  }

  /** @returns how the task ended, or the error if the `_id` is taken */
  private async addAndWait(task: Task, inMemory: boolean, limit: WaitLimit): Promise<Ending | DuplicateTaskError> {
    // Before the task is added, so that its end cannot be missed.
    const wait = this.#source.wait(task)
    const storing = this.store(task, inMemory)
    try {
      const duplicate = await limit.race(storing)
      if (duplicate !== undefined) return duplicate
      wait.taskAdded(false)
      const ending = await limit.race(wait.ending)
      await this.#queue.hooks?.idle()
      return ending
    } catch (error) {
      if (limit.isAborted && !isToRunAgain(error)) await this.cancelStored(task, storing)
      throw error
    } finally {
      wait.stop()
    }
  }

  /** Whether it was cancelled with an earlier attempt of the job that runs it, which must not fail for that. */
  private isLeftBehind({ ending }: Awaited): boolean {
    return this.#source.parent !== undefined && ending?.kind === 'failed' && ending.error instanceof TaskCancelledError
  }

  /** @param storing as `store` */
  private async cancelStored(task: Task, storing: Promise<DuplicateTaskError | undefined>): Promise<void> {
    try {
      if ((await storing) === undefined) await this.#queue.cancelOnly(task)
    } catch (error) {
      // Whoever waited gets the reason of the signal.
      createLog('error').taskError(task, 'cannot be cancelled, although the signal of its run is aborted', error)
    }
  }

  /** @returns the error if the `_id` is taken */
  private async store(task: Task, inMemory: boolean): Promise<DuplicateTaskError | undefined> {
    try {
      await this.#queue.store(task, inMemory)
      return undefined
    } catch (error) {
      if (error instanceof DuplicateTaskError) return error
      throw error
    }
  }

  private async waitFor(task: Awaited, limit: WaitLimit): Promise<unknown> {
    if (task.ending !== undefined) return valueOf(task.ending)
    const wait = this.#source.wait(task)
    try {
      // It may have ended since it was marked.
      wait.taskAdded(true)
      return valueOf(await limit.race(wait.ending))
    } finally {
      wait.stop()
    }
  }
}

/** Whether a job was aborted for a reason after which it runs again: it then joins the task that it ran. */
function isToRunAgain(reason: unknown): boolean {
  return reason instanceof ClusterStoppedError || reason instanceof LeaseLostError
}

function valueOf(ending: Ending): unknown {
  if (ending.kind === 'failed') throw withoutWish(ending.error)
  return ending.value
}

async function withLimit<Value>(
  taskId: string,
  options: WaitOptions,
  work: (limit: WaitLimit) => Promise<Value>,
): Promise<Value> {
  const limit = new WaitLimit(taskId, options)
  try {
    return await work(limit)
  } finally {
    limit.stop()
  }
}

/** @throws InvalidArgumentError */
export function checkWaitOptions(method: 'run' | 'result', options: unknown): WaitOptions {
  if (!isPlainObject(options)) {
    const hint = typeof options === 'number' ? `Use { timeout: ${String(options)} }.` : ''
    throw wrongValue(`${method}.options`, options, 'an object { signal, timeout }', hint)
  }
  checkNames(`${method}.options.`, options, 'option', ['signal', 'timeout'])
  const { signal, timeout } = options
  if (timeout !== undefined && !isTimer(timeout)) {
    throw wrongValue(`${method}.options.timeout`, timeout, TIMER_ALLOWED, millisecondsHint(timeout, isTimer))
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    const hint = signal instanceof AbortController ? 'Use its signal.' : ''
    throw wrongValue(`${method}.options.signal`, signal, 'an AbortSignal', hint)
  }
  return options
}

import type { Awaited, EndSource, Ending } from '../../../common/ending'
import { DuplicateTaskError, TaskRemovedError, WaitTimeoutError } from '../../../common/errors'
import { checkNames, millisecondsHint, wrongValue } from '../../../common/invalid'
import { isPlainObject } from '../../../common/plain'
import { TIMER_ALLOWED, isTimer } from '../../../common/policy'
import type { Task } from '../../../common/task'
import type { Queue } from '../queue'

/** How long to wait for the end of a task. */
export interface WaitOptions {
  /** Ends the waiting, which then rejects with the `reason` of the signal. */
  readonly signal?: AbortSignal
  /** Milliseconds to wait, 1 to 2^31 - 1. Then the waiting rejects with a WaitTimeoutError. Default: no limit. */
  readonly timeout?: number
}

type ResultQueue = Pick<Queue, 'cancelOnly' | 'hooks' | 'markAwaited' | 'store'>

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

  /** Adds the task, or joins the one that has its `_id` and type; resolves to the result. */
  async run(task: Task, inMemory: boolean, options: WaitOptions): Promise<unknown> {
    for (;;) {
      options.signal?.throwIfAborted()
      // Before the task is added, so that its end cannot be missed.
      const wait = this.#source.wait(task)
      try {
        const duplicate = await this.store(task, inMemory)
        if (duplicate === undefined) {
          wait.taskAdded(false)
          const ending = await within(wait.ending, task._id, options, () => this.#queue.cancelOnly(task))
          await this.#queue.hooks?.idle()
          return valueOf(ending)
        }
        const other = await this.#queue.markAwaited(task._id)
        if (other !== undefined && other.taskType !== task.taskType) throw duplicate
        if (other !== undefined) return await this.waitFor(other, options)
        // It has left the queue since: the `_id` is free.
      } finally {
        wait.stop()
      }
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

  /** Waits for a task that is in the queue. */
  async result(_id: string, options: WaitOptions): Promise<unknown> {
    options.signal?.throwIfAborted()
    const task = await this.#queue.markAwaited(_id)
    if (task === undefined) throw new TaskRemovedError(_id)
    return this.waitFor(task, options)
  }

  private async waitFor(task: Awaited, options: WaitOptions): Promise<unknown> {
    if (task.ending !== undefined) return valueOf(task.ending)
    const wait = this.#source.wait(task)
    try {
      // It may have ended since it was marked.
      wait.taskAdded(true)
      return valueOf(await within(wait.ending, task._id, options))
    } finally {
      wait.stop()
    }
  }
}

function valueOf(ending: Ending): unknown {
  if (ending.kind === 'failed') throw ending.error
  return ending.value
}

/** @param cancel called when the signal is aborted; the waiting rejects once it has resolved */
function within(
  ending: Promise<Ending>,
  taskId: string,
  { signal, timeout }: WaitOptions,
  cancel: () => Promise<unknown> = () => Promise.resolve(),
): Promise<Ending> {
  if (signal === undefined && timeout === undefined) return ending
  return new Promise((resolve, reject) => {
    let isAborted = false
    const abort = () => {
      // The reason of the signal counts, however the task ends.
      isAborted = true
      clearTimeout(timer)
      cancel().then(() => reject(signal?.reason as Error), reject)
    }
    const giveUp = () => {
      signal?.removeEventListener('abort', abort)
      reject(new WaitTimeoutError(taskId, timeout ?? 0))
    }
    const timer = timeout === undefined ? undefined : setTimeout(giveUp, timeout)
    signal?.addEventListener('abort', abort, { once: true })
    if (signal?.aborted === true) abort()
    void ending.then(ended => {
      if (isAborted) return
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
      resolve(ended)
    })
  })
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

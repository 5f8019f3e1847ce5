import { WaitTimeoutError } from '../../../common/errors'

/** How long to wait for the end of a task. */
export interface WaitOptions {
  /** Ends the waiting, which then rejects with the `reason` of the signal. */
  readonly signal?: AbortSignal
  /** Milliseconds to wait, 1 to 2^31 - 1. Then the waiting rejects with a WaitTimeoutError. Default: no limit. */
  readonly timeout?: number
}

/** Ends a call that waits for a task, whatever it is waiting for: the database may not answer either. */
export class WaitLimit {
  readonly #signal: AbortSignal | undefined
  readonly #timer: NodeJS.Timeout | undefined
  readonly #reached: Promise<never>
  readonly #abort: () => void

  /** @throws the reason of the signal, if it is aborted already */
  constructor(taskId: string, { signal, timeout }: WaitOptions) {
    signal?.throwIfAborted()
    let reject!: (reason: unknown) => void
    this.#reached = new Promise<never>((_resolve, settle) => (reject = settle))
    // Nothing may be waiting at that moment.
    this.#reached.catch(() => undefined)
    this.#signal = signal
    this.#abort = () => {
      clearTimeout(this.#timer)
      reject(signal?.reason)
    }
    signal?.addEventListener('abort', this.#abort, { once: true })
    if (timeout !== undefined) this.#timer = setTimeout(() => reject(new WaitTimeoutError(taskId, timeout)), timeout)
  }

  get isAborted(): boolean {
    return this.#signal?.aborted === true
  }

  /** @returns as `work`; rejects as soon as the limit is reached */
  race<Value>(work: Promise<Value>): Promise<Value> {
    return Promise.race([work, this.#reached])
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#signal?.removeEventListener('abort', this.#abort)
  }
}

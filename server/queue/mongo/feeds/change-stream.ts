import { setTimeout as pause } from 'node:timers/promises'
import type { RawCollection } from '../documents/schema'

/** How long the server waits for a change before it sends an empty reply. An idle stream sends no other command. */
const MAX_AWAIT_MS = 10_000
const REOPEN_AFTER_MS = 1000

/**
 * The longest pause. It doubles after each error reply of MongoDB: permissions, for example, do not change within a
 * second.
 */
const REOPEN_AFTER_MAX_MS = 60_000

/** MongoDB's codes for a server without change streams: a standalone server, or one that does not know the stage. */
const UNSUPPORTED = [40_573, 40_324]

export interface StreamListener {
  /** The stream is open, for the first time or again. It does not report what happened before. */
  opened(): void
  /** A change, as the pipeline has left it. */
  changed(change: object): void
  /** The collection was dropped or renamed. The stream reopens soon, on the collection that replaces it. */
  collectionDropped(): void
  /** The stream could not be opened, or broke. It is opened again, unless the server has no change streams. */
  failed(error: unknown): void
}

/** A change stream that stays open: when it breaks, the driver resumes it, or a new one is opened. */
export class ChangeStream {
  readonly #tasks: RawCollection
  readonly #pipeline: object[]
  readonly #listener: StreamListener
  #stream: ReturnType<RawCollection['watch']> | undefined
  /** Set while it is started. */
  #stopping: AbortController | undefined
  #isOpen = false
  #isUnsupported = false
  /**
   * The pause after the last failure, in milliseconds, and when it ends (performance.now). A stop does not shorten it.
   */
  #pause = 0
  #reopenAt = 0

  /** @param pipeline its first stage matches the changes to report, `invalidate` among them */
  constructor(tasks: RawCollection, pipeline: object[], listener: StreamListener) {
    this.#tasks = tasks
    this.#pipeline = pipeline
    this.#listener = listener
  }

  /** Whether it reports every change, as far as is known. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Does nothing when it is started already, or the server has no change streams. */
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

  /** @param lasted milliseconds for which the stream was open, or being opened */
  private failed(error: unknown, lasted: number): void {
    const { code } = error as { code?: unknown }
    this.#isUnsupported = UNSUPPORTED.includes(Number(code))
    this.#listener.failed(error)
    const isRefused = typeof code === 'number' && lasted < REOPEN_AFTER_MAX_MS
    this.reopenIn(isRefused ? Math.min(2 * this.#pause, REOPEN_AFTER_MAX_MS) : 0)
  }

  private reopenIn(milliseconds: number): void {
    this.#pause = Math.max(milliseconds, REOPEN_AFTER_MS)
    this.#reopenAt = performance.now() + this.#pause
  }

  /** Reads until the collection is dropped or renamed, or the stream breaks. */
  private async read(stopped: AbortSignal): Promise<void> {
    const stream = this.#tasks.watch(this.#pipeline, { maxAwaitTimeMS: MAX_AWAIT_MS })
    this.#stream = stream
    // Emitted for the first reply of the server.
    stream.once('resumeTokenChanged', () => {
      if (this.#stream !== stream) return
      this.#isOpen = !stopped.aborted
      if (this.#isOpen) this.#listener.opened()
    })
    try {
      for await (const change of stream) {
        // The last event of this stream.
        if (change.operationType === 'invalidate') {
          this.#listener.collectionDropped()
          return
        }
        this.#listener.changed(change)
      }
    } finally {
      // Another stream may be open by now.
      if (this.#stream === stream) this.#isOpen = false
      await stream.close()
    }
  }
}

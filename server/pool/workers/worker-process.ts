import type { ChildProcess } from 'node:child_process'
import { Batch } from '../../../common/batch'
import { type Unreadable, sendTogether, unwrap } from '../../../common/pipe/envelope'
import { type ToMaster, type ToWorker, isToMaster } from '../../../common/pipe/protocol'
import { StderrRelay } from './stderr-relay'
import { stderr } from './serial-writer'
import type { Exit } from './worker-exit'

/**
 * How long a worker may take to boot before it is killed: a startup hook that never returns would silently stop the
 * queue.
 */
const BOOT_DEADLINE_MS = 120_000

/** How long an idle worker may take to exit before it is killed. */
const CLOSE_GRACE_MS = 5000

/**
 * How long to wait for the rest of its stderr after the process is gone: what it forked may keep stderr open for ever.
 */
const STDERR_GRACE_MS = 100

export interface ProcessEvents {
  readonly message: (message: ToMaster | Unreadable) => void
  /** These messages have left this process, or the pipe broke, which the exit of the process shows. */
  readonly left: (messages: readonly ToWorker[]) => void
  /** This message could not be sent. */
  readonly unsent: (message: ToWorker, error: unknown) => void
  /** The process is gone. Its last messages may still be in the pipe. */
  readonly exited: () => void
  /** Once: the process is gone and its pipe is read to the end. */
  readonly end: (exit: Exit, stderrTail: string) => void
}

/** The process of a worker: the master's end of its pipe, and its life from the fork to the exit. */
export class WorkerProcess {
  readonly #child: ChildProcess
  readonly #events: ProcessEvents
  readonly #stderr: StderrRelay
  readonly #outgoing = new Batch<ToWorker>(messages => {
    const send = (envelope: object, content: readonly ToWorker[]) => {
      if (this.#child.connected) this.#child.send(envelope, () => this.#events.left(content))
    }
    sendTogether(messages, send, this.#events.unsent)
  })
  #deadline: NodeJS.Timeout | undefined
  #hasEnded = false
  /** Why nothing more is read from it; undefined while it keeps to the protocol. */
  #breach: string | undefined

  constructor(child: ChildProcess, events: ProcessEvents) {
    this.#child = child
    this.#events = events
    this.#stderr = new StderrRelay(child, stderr)
    child.on('message', raw => {
      for (const message of unwrap(raw, isToMaster)) if (this.#breach === undefined) events.message(message)
    })
    // Either the fork failed, or a write to a broken pipe did, which the exit of the process shows.
    child.on('error', () => {
      if (child.pid === undefined) this.end({ pid: undefined, code: null, signal: null })
    })
    // A worker exits when its pipe closes. One that cannot would never be heard of again.
    child.once('disconnect', () => this.killAfter(CLOSE_GRACE_MS))
    this.awaitEnd()
    this.killAfter(BOOT_DEADLINE_MS)
  }

  /** It has said that it is ready. */
  booted(): void {
    clearTimeout(this.#deadline)
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /**
   * Sends a message, together with the others of this turn. If the pipe has closed, the exit of the process shows it.
   */
  send(message: ToWorker): void {
    this.#outgoing.add(message)
  }

  /** The worker broke the protocol: kills it, and reads nothing more from it. @param how for those whose jobs it ran */
  rejectFor(how: string): void {
    this.#breach = how
    this.kill()
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  /** Closes its pipe, on which it exits. Kills it if it does not. */
  close(): void {
    this.#outgoing.flush()
    this.killAfter(CLOSE_GRACE_MS)
    if (this.#child.connected) this.#child.disconnect()
  }

  private killAfter(milliseconds: number): void {
    clearTimeout(this.#deadline)
    this.#deadline = setTimeout(() => {
      this.kill()
    }, milliseconds)
    this.#deadline.unref()
  }

  /** `exit` alone may come while messages are still in the pipe; `disconnect` comes after the last of them. */
  private awaitEnd(): void {
    const exited = new Promise<Exit>(resolve => {
      this.#child.once('exit', (code, signal) => {
        clearTimeout(this.#deadline)
        this.#stderr.drain()
        this.#events.exited()
        resolve({ pid: this.#child.pid, code, signal })
      })
    })
    const pipeDrained = new Promise<void>(resolve => this.#child.once('disconnect', resolve))
    // This event comes once stderr has ended too.
    this.#child.once('close', (code, signal) => {
      this.end({ pid: this.#child.pid, code, signal })
    })
    // Invariant 4: what was still in the pipe counts before the exit does.
    void Promise.all([exited, pipeDrained]).then(([exit]) => {
      setTimeout(() => {
        this.end(exit)
      }, STDERR_GRACE_MS)
    })
  }

  private end(exit: Exit): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    const stderrTail = this.#breach === undefined ? this.#stderr.text : `${this.#breach}\n${this.#stderr.text}`
    this.#events.end(exit, stderrTail.trimEnd())
  }
}

import type { ChildProcess } from 'node:child_process'
import { Batch } from '../../common/batch'
import { type Unreadable, sendTogether, unwrap } from '../../common/pipe/envelope'
import { type ToMaster, type ToWorker, isToMaster } from '../../common/pipe/protocol'
import { StderrRelay } from './stderr-relay'
import { stderr } from './serial-writer'
import type { Exit } from './worker-exit'

/**
 * How long a worker may take to boot before it is killed: a start-up hook that never ends would stop the queue
 * silently.
 */
const BOOT_DEADLINE_MS = 120_000

/** How long an idle worker may take to exit before it is killed. */
const CLOSE_GRACE_MS = 5000

/** After the process is gone: what it forked may keep its stderr open for ever. */
const STDERR_GRACE_MS = 100

export interface ProcessEvents {
  readonly message: (message: ToMaster | Unreadable) => void
  /** These messages are in the pipe, in front of no other of ours; or it broke, which its end tells. */
  readonly left: (messages: readonly ToWorker[]) => void
  /** This message could not be sent. */
  readonly unsent: (message: ToWorker, error: unknown) => void
  /** The process is gone. Its last messages may still be in the pipe. */
  readonly exited: () => void
  /** Once: the process is gone and its pipe is read to the end. */
  readonly end: (exit: Exit, lastWords: string) => void
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
  /** Why nothing of it is read any more. */
  #breach: string | undefined

  constructor(child: ChildProcess, events: ProcessEvents) {
    this.#child = child
    this.#events = events
    this.#stderr = new StderrRelay(child, stderr)
    child.on('message', raw => {
      for (const message of unwrap(raw, isToMaster)) if (this.#breach === undefined) events.message(message)
    })
    // A fork that failed, or a write to a pipe that broke. The end of the process tells the rest.
    child.on('error', () => {
      if (child.pid === undefined) this.end({ pid: undefined, code: null, signal: null })
    })
    this.awaitEnd()
    this.killAfter(BOOT_DEADLINE_MS)
  }

  /** It has said that it is ready. */
  booted(): void {
    clearTimeout(this.#deadline)
  }

  /** Sends a message, with others of this turn. A pipe that closed is told by the end of the process. */
  send(message: ToWorker): void {
    this.#outgoing.add(message)
  }

  /**
   * It does not keep to the protocol: kills it, and reads nothing more of it. @param how for those whose jobs it ran
   */
  rejectFor(how: string): void {
    this.#breach = how
    this.kill()
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  /** Lets it go: it exits when the pipe closes. */
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
    const isPipeRead = new Promise<void>(resolve => this.#child.once('disconnect', resolve))
    // Besides, stderr has ended.
    this.#child.once('close', (code, signal) => {
      this.end({ pid: this.#child.pid, code, signal })
    })
    void Promise.all([exited, isPipeRead]).then(([exit]) => {
      setTimeout(() => {
        this.end(exit)
      }, STDERR_GRACE_MS)
    })
  }

  private end(exit: Exit): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    const lastWords = this.#breach === undefined ? this.#stderr.text : `${this.#breach}\n${this.#stderr.text}`
    this.#events.end(exit, lastWords.trimEnd())
  }
}

import type { ChildProcess } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { deserialize, serialize } from 'node:v8'
import { Batch } from '../../common/batch'
import type { EndSource } from '../../common/ending'
import type { Log } from '../../common/log'
import { inOwnContext } from '../../common/own-context'
import { sendTogether, unwrap } from '../../common/pipe/envelope'
import { type ToMaster, isToWorker } from '../../common/pipe/protocol'
import type { Definitions } from '../../common/task-map'
import { AddedTasks } from '../worker/added-tasks'
import { JobRunner } from '../worker/job-runner'
import type { LinkEvents } from '../worker/parent-link'

/** A worker without a process of its own, for tests of applications: it stands at the other end of `child`. */
export class InProcessWorker {
  readonly #child = new EventEmitter()
  readonly #events = new EventEmitter()
  readonly #runner: JobRunner
  #isConnected = true

  constructor(definitions: Definitions, slots: number, log: Log) {
    const link = this.createLink()
    this.#runner = new JobRunner(definitions, link, new AddedTasks(link), log, { slots, reportsMemory: false })
    this.#runner.trackJobs()
    // The other end does not listen yet.
    setImmediate(() => this.#runner.start())
  }

  /** Whether the code that runs now belongs to one of its jobs. */
  get isInJob(): boolean {
    return this.#runner.isInJob
  }

  get endSource(): EndSource {
    return this.#runner.endSource
  }

  /** What the pool gets in place of a forked process. A function cannot be killed: what it still does is ignored. */
  createChild(): ChildProcess {
    const send = (message: object, sent?: () => void) => {
      this.deliver(this.#events, message)
      if (sent !== undefined) setImmediate(sent)
    }
    const kill = () => {
      this.exit('SIGKILL')
    }
    const disconnect = () => {
      this.exit(null)
    }
    Object.defineProperty(this.#child, 'connected', { get: () => this.#isConnected })
    return Object.assign(this.#child, {
      pid: undefined,
      stderr: null,
      send,
      kill,
      disconnect,
    }) as unknown as ChildProcess
  }

  private createLink(): ConstructorParameters<typeof JobRunner>[1] {
    const write = (message: object) => this.deliver(this.#child, message)
    let events: LinkEvents | undefined
    const outgoing = new Batch<ToMaster>(messages => {
      sendTogether(messages, write, (message, error) => events?.unsent(message, error))
    })
    return {
      isBusy: false,
      send: message => outgoing.add(message),
      flush: () => {
        outgoing.flush()
        return Promise.resolve()
      },
      listen: given => {
        events = given
        this.#events.on('message', raw => {
          for (const message of unwrap(raw, isToWorker)) given.message(message)
        })
      },
    }
  }

  /** Delivers a copy asynchronously and outside of jobs, as the real pipe does. @throws if it cannot be copied */
  private deliver(to: EventEmitter, message: object): void {
    const bytes = serialize(message)
    setImmediate(() => {
      if (this.#isConnected) inOwnContext(() => to.emit('message', deserialize(bytes)))
    })
  }

  private exit(signal: 'SIGKILL' | null): void {
    if (!this.#isConnected) return
    this.#isConnected = false
    setImmediate(() => {
      const code = signal === null ? 0 : null
      this.#child.emit('exit', code, signal)
      this.#child.emit('disconnect')
      this.#child.emit('close', code, signal)
    })
  }
}

import type { ChildProcess } from 'node:child_process'
import { errorToWire } from '../../common/wire'
import type { Answer, Outcome, ToMaster, ToWorker } from '../../common/protocol'
import { unwrap, wrap } from '../../common/protocol'
import { toJob } from '../../common/task'
import type { Claim } from '../queue/claim'

/** How a worker's process ended. */
export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A message of a running job to the message broker. */
export interface Question {
  readonly claim: Claim
  readonly message: Extract<ToMaster, { kind: 'ask' }>
  readonly answer: (answer: Answer) => void
}

/** What the master wants to know of a worker. */
export interface WorkerEvents {
  ready(): void
  /** The job of this claim ended by itself; the worker is free again. */
  outcome(claim: Claim, outcome: Outcome): void
  /** The worker came to this job too late to start it; it is free again. */
  expired(claim: Claim): void
  question(question: Question): void
  /** The process is gone and its pipe is read to the end. */
  gone(end: End): void
}

/** How a worker ended, and what it was doing: `claim` is the job that was running in it. */
export interface End {
  readonly exit: Exit
  readonly claim: Claim | undefined
  /** Whether the function of that job had been called. */
  readonly hasStarted: boolean
  readonly state: WorkerState
}

type WorkerState = 'booting' | 'idle' | 'busy' | 'closing' | 'gone'

/** How long a worker may take to boot before it is killed: a start-up hook that never ends would stop the queue silently. */
const BOOT_DEADLINE_MS = 120_000

/** How long an idle worker may take to exit before it is killed. */
const CLOSE_GRACE_MS = 5000

/** One fork of this server: the master's end of the pipe, and what is known of the process behind it. */
export class WorkerHandle {
  readonly port: number
  readonly #child: ChildProcess
  readonly #events: WorkerEvents
  #state: WorkerState = 'booting'
  #claim: Claim | undefined
  #hasStarted = false
  /** Monotonic milliseconds (performance.now). */
  #idleSince = 0

  constructor(child: ChildProcess, port: number, events: WorkerEvents) {
    this.port = port
    this.#child = child
    this.#events = events
    child.on('message', raw => {
      const message = unwrap<ToMaster>(raw)
      if (message !== undefined) this.receive(message)
    })
    // A fork that failed, or a write to a pipe that broke. The end of the process tells the rest.
    child.on('error', () => {
      if (child.pid === undefined) this.end({ code: null, signal: null })
    })
    this.awaitEnd()
    this.killUnlessReady()
  }

  get state(): WorkerState {
    return this.#state
  }

  idleFor(): number {
    return this.#state === 'idle' ? performance.now() - this.#idleSince : 0
  }

  /** Sends a job to this idle worker, not to be started at `startBefore` (monotonic clock) or later. */
  run(claim: Claim, startBefore: number | undefined): void {
    this.send({ kind: 'run', token: claim.token, job: toJob(claim.task), startBefore })
    this.#state = 'busy'
    this.#claim = claim
    this.#hasStarted = false
  }

  /** Lets the worker go: it exits when the pipe closes. */
  close(): void {
    if (this.#state === 'closing' || this.#state === 'gone') return
    this.#state = 'closing'
    const kill = setTimeout(() => this.#child.kill('SIGKILL'), CLOSE_GRACE_MS)
    this.#child.once('exit', () => {
      clearTimeout(kill)
    })
    if (this.#child.connected) this.#child.disconnect()
  }

  private receive(message: ToMaster): void {
    switch (message.kind) {
      case 'ready':
        if (this.#state === 'booting') this.becomeIdle()
        this.#events.ready()
        return
      case 'started':
        this.#hasStarted ||= this.#claim?.token === message.token
        return
      case 'outcome':
        this.endJob(message.token, claim => {
          this.#events.outcome(claim, message.outcome)
        })
        return
      case 'expired':
        this.endJob(message.token, claim => {
          this.#events.expired(claim)
        })
        return
      case 'ask':
        this.receiveQuestion(message)
    }
  }

  private endJob(token: string, tell: (claim: Claim) => void): void {
    const claim = this.#claim
    if (claim?.token !== token) return
    this.#claim = undefined
    if (this.#state === 'busy') this.becomeIdle()
    tell(claim)
  }

  private receiveQuestion(message: Extract<ToMaster, { kind: 'ask' }>): void {
    const { token, conversation } = message
    const answer = (given: Answer) => {
      this.send({ kind: 'answer', token, conversation, answer: given })
    }
    if (this.#claim?.token === token) this.#events.question({ claim: this.#claim, message, answer })
    else answer({ kind: 'refused', error: errorToWire(new Error('nschwarz:cluster: the task that asks has ended.')) })
  }

  private becomeIdle(): void {
    this.#state = 'idle'
    this.#idleSince = performance.now()
  }

  /** @throws when the message holds what cannot be cloned; a pipe that closed is told by the end of the process */
  private send(message: ToWorker): void {
    if (this.#child.connected) this.#child.send(wrap(message), () => undefined)
  }

  private killUnlessReady(): void {
    const kill = setTimeout(() => {
      if (this.#state === 'booting') this.#child.kill('SIGKILL')
    }, BOOT_DEADLINE_MS)
    this.#child.once('exit', () => {
      clearTimeout(kill)
    })
    kill.unref()
  }

  /** `exit` alone may come while messages are still in the pipe; `disconnect` comes after the last of them. */
  private awaitEnd(): void {
    let exit: Exit | undefined
    let isPipeRead = false
    const endOnBoth = () => {
      if (exit !== undefined && isPipeRead) this.end(exit)
    }
    this.#child.once('exit', (code, signal) => {
      exit = { code, signal }
      endOnBoth()
    })
    this.#child.once('disconnect', () => {
      isPipeRead = true
      endOnBoth()
    })
  }

  private end(exit: Exit): void {
    if (this.#state === 'gone') return
    const end = { exit, claim: this.#claim, hasStarted: this.#hasStarted, state: this.#state }
    this.#state = 'gone'
    this.#claim = undefined
    this.#events.gone(end)
  }
}

import type { ChildProcess } from 'node:child_process'
import { errorToWire } from '../../common/wire'
import type { Answer, ToMaster, ToWorker } from '../../common/protocol'
import { isToMaster, unwrap, wrap } from '../../common/protocol'
import { toJob } from '../../common/task'
import type { Claim } from '../queue/claim'
import { LastLines } from './last-lines'
import { type Limits, SentJob } from './sent-job'
import type { Exit, WorkerEvents, WorkerState } from './worker-events'

/** How long a worker may take to boot before it is killed: a start-up hook that never ends would stop the queue silently. */
const BOOT_DEADLINE_MS = 120_000

/** How long an idle worker may take to exit before it is killed. */
const CLOSE_GRACE_MS = 5000

/** After the process is gone: what it forked may keep its stderr open for ever. */
const STDERR_GRACE_MS = 100

/** One fork of this server: the master's end of the pipe, and what is known of the process behind it. */
export class WorkerHandle {
  readonly port: number
  readonly #child: ChildProcess
  readonly #events: WorkerEvents
  readonly #stderr: LastLines
  #state: WorkerState = 'booting'
  #job: SentJob | undefined
  #jobs = 0
  #rss = 0
  /** Monotonic milliseconds (performance.now). */
  #idleSince = 0

  constructor(child: ChildProcess, port: number, events: WorkerEvents) {
    this.port = port
    this.#child = child
    this.#events = events
    this.#stderr = new LastLines(child.stderr, process.stderr)
    child.on('message', raw => {
      const message = unwrap(raw, isToMaster)
      if (message !== undefined) this.receive(message)
    })
    // A fork that failed, or a write to a pipe that broke. The end of the process tells the rest.
    child.on('error', () => {
      if (child.pid === undefined) this.end({ code: null, signal: null })
    })
    this.awaitEnd()
    this.killIfStill('booting', BOOT_DEADLINE_MS)
  }

  get state(): WorkerState {
    return this.#state
  }

  get claim(): Claim | undefined {
    return this.#job?.claim
  }

  /** How many jobs have ended in it. */
  get jobs(): number {
    return this.#jobs
  }

  /** Its resident memory in bytes, when its last job had ended. */
  get rss(): number {
    return this.#rss
  }

  idleFor(): number {
    return this.#state === 'idle' ? performance.now() - this.#idleSince : 0
  }

  /** Sends a job to this idle worker. @param grace milliseconds for which it may go on after its timeout */
  run(claim: Claim, { startBefore, timeout }: Limits, grace: number): void {
    const { token, task } = claim
    this.send({ kind: 'run', token, job: toJob(task), attempt: task.attempts ?? 1, startBefore })
    this.#state = 'busy'
    this.#job = new SentJob(claim, timeout, reason => {
      this.abort(reason, grace)
    })
  }

  /** Tells the job to end, if there is one. @param grace milliseconds after which the worker is killed */
  abort(reason: Error, grace: number): void {
    if (this.#job === undefined) return
    this.#job.abort(reason, grace, () => {
      this.kill()
    })
    this.send({ kind: 'abort', token: this.#job.claim.token, reason: errorToWire(reason) })
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  /** Lets the worker go: it exits when the pipe closes. */
  close(): void {
    if (this.#state === 'closing' || this.#state === 'gone') return
    this.#state = 'closing'
    this.killIfStill('closing', CLOSE_GRACE_MS)
    if (this.#child.connected) this.#child.disconnect()
  }

  private receive(message: ToMaster): void {
    switch (message.kind) {
      case 'ready':
        if (this.#state === 'booting') this.becomeIdle()
        this.#events.ready()
        return
      case 'started':
        if (this.#job?.claim.token === message.token) this.#job.hasStarted = true
        return
      case 'outcome':
        this.#rss = message.rss
        this.endJob(message.token, ({ claim, aborted }) => {
          this.#events.outcome(claim, message.outcome, aborted)
        })
        return
      case 'expired':
        this.endJob(message.token, ({ claim }) => {
          this.#events.expired(claim)
        })
        return
      case 'nudge':
        this.#events.nudged(message.taskType)
        return
      case 'cancelled':
        this.#events.cancelled(message.token)
        return
      case 'ask':
        this.receiveQuestion(message)
    }
  }

  private endJob(token: string, tell: (job: SentJob) => void): void {
    const job = this.#job
    if (job?.claim.token !== token) return
    job.end()
    this.#job = undefined
    this.#jobs++
    if (this.#state === 'busy') this.becomeIdle()
    tell(job)
  }

  private receiveQuestion(message: Extract<ToMaster, { kind: 'ask' }>): void {
    const { token, conversation } = message
    const answer = (given: Answer) => {
      this.send({ kind: 'answer', token, conversation, answer: given })
    }
    if (this.claim?.token === token) this.#events.question({ claim: this.claim, message, answer })
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

  private killIfStill(state: WorkerState, milliseconds: number): void {
    const kill = setTimeout(() => {
      if (this.#state === state) this.kill()
    }, milliseconds)
    this.#child.once('exit', () => {
      clearTimeout(kill)
    })
    kill.unref()
  }

  /** `exit` alone may come while messages are still in the pipe; `disconnect` comes after the last of them. */
  private awaitEnd(): void {
    const exited = new Promise<Exit>(resolve => {
      this.#child.once('exit', (code, signal) => {
        resolve({ code, signal })
      })
    })
    const isPipeRead = new Promise<void>(resolve => this.#child.once('disconnect', resolve))
    // Besides, stderr has ended.
    this.#child.once('close', (code, signal) => {
      this.end({ code, signal })
    })
    void Promise.all([exited, isPipeRead]).then(([exit]) => {
      setTimeout(() => {
        this.end(exit)
      }, STDERR_GRACE_MS)
    })
  }

  private end(exit: Exit): void {
    if (this.#state === 'gone') return
    const end = { exit, lastWords: this.#stderr.text, job: this.#job, state: this.#state }
    this.#job?.end()
    this.#state = 'gone'
    this.#job = undefined
    this.#events.gone(end)
  }
}

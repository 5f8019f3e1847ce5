import diagnostics from 'node:diagnostics_channel'
// In an app that has the types of browsers, the global one has theirs.
import { performance } from 'node:perf_hooks'
import type { EndSource } from '../../common/ending'
import { clockOffset, hasJumped, monotonicNow } from '../../common/clock'
import { InvalidDataError, UnknownTaskTypeError, describe, messageOf } from '../../common/errors'
import { errorFromWire } from '../../common/pipe/wire'
import type { JobContext, TaskFunction, ToggleIPC } from '../../common/ipc'
import type { Log } from '../../common/log'
import { type Unreadable, partsOfUnreadable } from '../../common/pipe/envelope'
import { type Outcome, type ToMaster, type ToWorker, jobFromWire } from '../../common/pipe/protocol'
import { parse } from '../../common/schema'
import type { Job } from '../../common/task'
import type { Definitions } from '../../common/task-map'
import { revive } from '../revive'
import { MAX_TURN_MS } from '../tuning'
import type { AddedTasks } from './added-tasks'
import { CurrentJob } from './current-job'
import { JobAbort } from './job-abort'
import { JobIpc, MESSAGE_DATA } from './job-ipc'
import { JobReports } from './job-reports'
import type { ParentLink } from './parent-link'
import { RESULT, done, failed, failedForGood, unsendable } from './outcome'
import { Waits } from './waits'

type OutcomeMessage = Extract<ToMaster, { kind: 'outcome' }>
type RunMessage = Extract<ToWorker, { kind: 'run' }>

export interface JobRunnerOptions {
  /** How many jobs run at once. */
  readonly slots: number
  /** Whether to report how much memory this process has. */
  readonly reportsMemory: boolean
}

/** The worker's end of the pipe to its master. */
export type Link = Pick<ParentLink, 'flush' | 'isBusy' | 'listen' | 'send'>

/** The outcome of a job, and how many milliseconds it took. */
interface TimedOutcome {
  readonly outcome: Outcome
  readonly duration: number
}

/**
 * For tracing: gets `{ job, context }` in the worker, right before the task function is called. Stores that are bound
 * to the channel are set while the function runs.
 */
const RUN = diagnostics.channel('nschwarz:cluster:run')

/** Runs the jobs that the master sends, and reports the outcome of each. */
export class JobRunner {
  readonly #definitions: Definitions
  readonly #link: Link
  readonly #log: Log
  readonly #options: JobRunnerOptions
  readonly #ipc: JobIpc
  readonly #added: AddedTasks
  readonly #current: CurrentJob
  readonly #waits: Waits
  /** In the order in which they are started. */
  readonly #unstarted: RunMessage[] = []
  /** The jobs that are running, by token. */
  readonly #running = new Map<string, JobAbort>()
  /**
   * The token of a job whose start is on its way to the master. The next job waits, since this one's function may block
   * the process.
   */
  #starting: string | undefined
  /** On performance.now. */
  #turnEndsAt = 0
  /** Until when the utilization of the event loop was reported. */
  #measuredUntil = performance.eventLoopUtilization()

  constructor(definitions: Definitions, link: Link, added: AddedTasks, log: Log, options: JobRunnerOptions) {
    this.#definitions = definitions
    this.#link = link
    this.#log = log
    this.#options = options
    this.#added = added
    this.#ipc = new JobIpc(link, log)
    this.#current = new CurrentJob(options.slots)
    this.#waits = new Waits(link, this.#current, () => this.startSoon())
  }

  /** Where this worker's jobs learn how other tasks end. */
  get endSource(): EndSource {
    return this.#waits
  }

  /** From now on, `isInJob` can tell its jobs from other code of this process. */
  trackJobs(): void {
    this.#current.track()
  }

  /** Whether the code that runs now belongs to one of its jobs. */
  get isInJob(): boolean {
    return this.#current.token !== undefined
  }

  /** Listens to the master, and reports that this worker is ready for jobs. */
  start(): void {
    this.#link.listen({
      message: message => {
        if (message.kind === 'unreadable') this.receiveUnreadable(message)
        else this.receive(message)
      },
      unsent: (message, error) => {
        this.unsent(message, error)
      },
    })
    this.#link.send({ kind: 'ready' })
  }

  private receive(message: ToWorker): void {
    switch (message.kind) {
      case 'run':
        this.#unstarted.push(message)
        if (this.#unstarted.length === 1) this.startSoon()
        return
      case 'recall':
        this.returnRecalled(message.token)
        return
      case 'abort':
        this.#running.get(message.token)?.abort(revive(errorFromWire(message.reason)))
        return
      case 'added':
        this.#added.receive(message)
        return
      case 'measure':
        this.measure()
        return
      case 'ended':
        this.#waits.receive(message)
        return
      case 'answer':
        this.#ipc.receive(message)
    }
  }

  private measure(): void {
    const { utilization } = performance.eventLoopUtilization(this.#measuredUntil)
    this.#measuredUntil = performance.eventLoopUtilization()
    this.#link.send({ kind: 'measured', rss: process.memoryUsage.rss(), eventLoopUtilization: utilization })
  }

  private startSoon(): void {
    setImmediate(() => this.takeTurn())
  }

  /** Fails the job or the conversation that the message names. If it names none, the protocol is broken. */
  private receiveUnreadable(unreadable: Unreadable): void {
    const { kind, token, conversation } = partsOfUnreadable(unreadable)
    const reason = 'it came in a form that cannot be read'
    if (kind === 'run' && token !== undefined) {
      const outcome = unsendable('the data of the task', reason)
      this.#link.send({ kind: 'outcome', token, outcome, duration: 0 })
    } else if (kind === 'answer' && conversation !== undefined) {
      this.#ipc.refuse(conversation, 'the answer of the messageBroker', reason)
    } else if (kind === 'abort' && token !== undefined) {
      this.#running.get(token)?.abort(new Error('nschwarz:cluster: the reason to end cannot be read.'))
    } else this.giveUp(`the master sent a message that cannot be read (kind: ${describe(kind)})`)
  }

  /** Handles a message that cannot be sent. Values are checked when they are encoded: this one has changed since. */
  private unsent(message: ToMaster, error: unknown): void {
    if (message.kind === 'ask') this.#ipc.refuse(message.conversation, MESSAGE_DATA, error)
    else if (message.kind === 'outcome' && message.outcome.kind === 'done') this.reportUnsent(message, error)
    else this.giveUp(`a message of the kind ${describe(message.kind)} cannot be sent: ${messageOf(error)}`)
  }

  private reportUnsent(message: OutcomeMessage, error: unknown): void {
    const outcome = unsendable(RESULT, error)
    this.#log.error(`the outcome of a job cannot be sent, so the job failed: ${messageOf(error)}`)
    this.#link.send({ ...message, outcome })
  }

  /** Exits: the master replaces this worker, and runs its jobs again. */
  private giveUp(why: string): void {
    this.#log.error(`${why}: this worker exits`)
    process.exit(1)
  }

  private takeTurn(): void {
    this.#turnEndsAt = performance.now() + MAX_TURN_MS
    this.startNext()
  }

  private startNext(): void {
    while (this.#starting === undefined && this.#running.size < this.#options.slots + this.#waits.lentSlots) {
      const next = this.#unstarted.shift()
      if (next === undefined) return
      if (isInTime(next)) void this.run(next)
      else this.refuse(next)
    }
  }

  private returnRecalled(token: string): void {
    const index = this.#unstarted.findIndex(message => message.token === token)
    if (index === -1) return
    this.#unstarted.splice(index, 1)
    this.#link.send({ kind: 'recalled', token })
  }

  private refuse({ token }: RunMessage): void {
    this.#link.send({ kind: 'expired', token })
  }

  private async run(message: RunMessage): Promise<void> {
    const { token } = message
    const job = jobFromWire(message.job)
    const abort = new JobAbort()
    this.#starting = token
    this.#running.set(token, abort)
    // The timeout counts from when the master hears of the start, so a large outcome in front of it must leave first.
    if (this.#link.isBusy) await this.#link.flush()
    this.#link.send({ kind: 'started', token })
    // The function may block or end this process, so the outcomes of earlier jobs must leave first.
    await this.#link.flush()
    this.#starting = undefined
    // Invariant 2: if the start left too late, another master may run the task by now.
    if (isInTime(message)) {
      const timed = await this.begin(job, message, abort)
      this.report(message, timed)
    } else this.refuse(message)
    this.#running.delete(token)
    // Starts the next job in the turn of the report, so that both travel in one message.
    if (performance.now() < this.#turnEndsAt) this.startNext()
    else this.startSoon()
  }

  /** Calls the function, and then starts the next job, if there is a slot for it. */
  private begin(job: Job, message: RunMessage, abort: JobAbort): Promise<TimedOutcome> {
    const timed = this.execute(job, message, abort)
    this.startNext()
    return timed
  }

  private async execute(job: Job, { token, attempt }: RunMessage, abort: JobAbort): Promise<TimedOutcome> {
    const startedAt = performance.now()
    const reports = new JobReports(job, token, this.#link, this.#log)
    const context: JobContext = {
      attempt,
      token,
      progress: reports.progress,
      log: reports.log,
      get signal() {
        return abort.signal
      },
    }
    const toggleIPC = this.#ipc.jobStarted(job, token)
    this.#waits.jobStarted(job, token)
    let outcome: Outcome
    try {
      const parsing = this.withParsedData(job)
      // Awaiting data that is no promise would take as long as a short job.
      const checked = parsing instanceof Promise ? await parsing : parsing
      outcome = 'outcome' in checked ? checked.outcome : done(await this.call(checked.job, toggleIPC, context))
    } catch (thrown) {
      outcome = failed(thrown)
    }
    reports.jobEnded()
    this.#ipc.jobEnded(token)
    this.#waits.jobEnded(token)
    this.#current.ended(token)
    return { outcome, duration: performance.now() - startedAt }
  }

  /** A job whose data does not fit its schema fails for good: another attempt would fail in the same way. */
  private withParsedData(
    job: Job,
  ): { readonly job: Job } | Promise<{ readonly job: Job } | { readonly outcome: Outcome }> {
    const schema = this.#definitions.get(job.taskType)?.schema
    if (schema === undefined) return { job }
    return parse(schema, job.taskType, job.data).then(
      data => ({ job: { ...job, data } }),
      (error: unknown) => ({ outcome: error instanceof InvalidDataError ? failedForGood(error) : failed(error) }),
    )
  }

  private call(job: Job, toggleIPC: ToggleIPC, context: JobContext): unknown {
    const run = () => this.#current.run(context.token, () => this.functionFor(job)(job, toggleIPC, context))
    return RUN.hasSubscribers ? RUN.runStores({ job, context }, run) : run()
  }

  private functionFor({ taskType }: Job): TaskFunction {
    const definition = this.#definitions.get(taskType)
    if (definition === undefined) throw new UnknownTaskTypeError(taskType, [...this.#definitions.keys()])
    return definition.run
  }

  private report({ token }: RunMessage, timed: TimedOutcome): void {
    const memory = this.#options.reportsMemory ? { rss: process.memoryUsage.rss() } : {}
    this.#link.send({ kind: 'outcome', token, ...timed, ...memory })
  }
}

function isInTime(message: RunMessage): boolean {
  const { startBefore = Infinity } = message
  return monotonicNow() < startBefore && !hasSleptSince(message)
}

/**
 * The claim may have expired while the machine slept: the monotonic clock stood still, and `startBefore` may still be
 * ahead.
 */
function hasSleptSince({ clockOffset: sentAt }: RunMessage): boolean {
  return sentAt !== undefined && hasJumped(sentAt, clockOffset())
}

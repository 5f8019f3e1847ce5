import { monotonicNow } from '../../common/clock'
import { UnknownTaskTypeError, UnsendableValueError, toError } from '../../common/errors'
import { errorFromWire, errorToWire, toWire } from '../../common/wire'
import type { TaskFunction } from '../../common/ipc'
import type { Log } from '../../common/log'
import type { Outcome, ToWorker } from '../../common/protocol'
import type { Job } from '../../common/task'
import type { Definitions } from '../../common/task-map'
import { JobIpc } from './job-ipc'
import type { ParentLink } from './parent-link'

type RunMessage = Extract<ToWorker, { kind: 'run' }>

/** Runs the jobs that the master sends, and reports how each of them ended. */
export class JobRunner {
  readonly #definitions: Definitions
  readonly #link: ParentLink
  readonly #log: Log
  readonly #ipc: JobIpc
  /** Of the jobs that are running, by token. */
  readonly #aborts = new Map<string, AbortController>()

  constructor(definitions: Definitions, link: ParentLink, log: Log) {
    this.#definitions = definitions
    this.#link = link
    this.#log = log
    this.#ipc = new JobIpc(link, log)
  }

  /** Listens, and tells the master that jobs may be sent. */
  start(): void {
    this.#link.onMessage(message => {
      this.receive(message)
    })
    this.#link.send({ kind: 'ready' })
  }

  private receive(message: ToWorker): void {
    switch (message.kind) {
      case 'run':
        this.runInTime(message)
        return
      case 'abort':
        this.#aborts.get(message.token)?.abort(errorFromWire(message.reason))
        return
      case 'answer':
        this.#ipc.receive(message)
    }
  }

  private runInTime(message: RunMessage): void {
    const { token, startBefore = Infinity } = message
    if (monotonicNow() < startBefore) void this.run(message)
    else this.#link.send({ kind: 'expired', token })
  }

  private async run(message: RunMessage): Promise<void> {
    const { job, token } = message
    this.#link.send({ kind: 'started', token })
    this.#log.task(job, 'started')
    const startedAt = performance.now()
    const outcome = this.report(token, await this.execute(message))
    if (outcome.kind === 'done') {
      this.#log.task(job, `done in ${String(Math.round(performance.now() - startedAt))} ms`)
    } else {
      this.#log.taskError(job, `failed: ${outcome.error.stack ?? outcome.error.message}`)
    }
  }

  private async execute({ job, token, attempt }: RunMessage): Promise<Outcome> {
    const abort = new AbortController()
    this.#aborts.set(token, abort)
    try {
      const run = this.functionFor(job)
      const value = await run(job, this.#ipc.toggleFor(token), { signal: abort.signal, attempt, token })
      return { kind: 'done', value: toWire(value) }
    } catch (thrown) {
      return failed(thrown)
    } finally {
      this.#aborts.delete(token)
    }
  }

  private functionFor({ taskType }: Job): TaskFunction {
    const definition = this.#definitions.get(taskType)
    if (definition === undefined) throw new UnknownTaskTypeError(taskType, [...this.#definitions.keys()])
    return definition.run
  }

  /** @returns the outcome that was sent: a result that cannot be sent fails the job */
  private report(token: string, outcome: Outcome): Outcome {
    try {
      this.send(token, outcome)
      return outcome
    } catch (error) {
      const unsendable = failed(new UnsendableValueError('the result of the task', error))
      this.send(token, unsendable)
      return unsendable
    }
  }

  private send(token: string, outcome: Outcome): void {
    this.#link.send({ kind: 'outcome', token, outcome, rss: process.memoryUsage.rss() })
  }
}

function failed(thrown: unknown): Outcome {
  return { kind: 'failed', error: errorToWire(toError(thrown)) }
}

import { monotonicNow } from '../../common/clock'
import { UnknownTaskTypeError, UnsendableValueError, toError } from '../../common/errors'
import { errorToWire, toWire } from '../../common/wire'
import type { TaskFunction, TaskMap } from '../../common/ipc'
import type { Log } from '../../common/log'
import type { Outcome, ToWorker } from '../../common/protocol'
import type { Job } from '../../common/task'
import { JobIpc } from './job-ipc'
import type { ParentLink } from './parent-link'

/** Runs the jobs that the master sends, and reports how each of them ended. */
export class JobRunner {
  readonly #taskMap: TaskMap
  readonly #link: ParentLink
  readonly #log: Log
  readonly #ipc: JobIpc

  constructor(taskMap: TaskMap, link: ParentLink, log: Log) {
    this.#taskMap = taskMap
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
      case 'answer':
        this.#ipc.receive(message)
    }
  }

  private runInTime({ token, job, startBefore = Infinity }: Extract<ToWorker, { kind: 'run' }>): void {
    if (monotonicNow() < startBefore) void this.run(token, job)
    else this.#link.send({ kind: 'expired', token })
  }

  private async run(token: string, job: Job): Promise<void> {
    this.#link.send({ kind: 'started', token })
    this.#log.task(job, 'started')
    const startedAt = performance.now()
    const outcome = this.report(token, await this.execute(token, job))
    if (outcome.kind === 'done') {
      this.#log.task(job, `done in ${String(Math.round(performance.now() - startedAt))} ms`)
    } else {
      this.#log.taskError(job, `failed: ${outcome.error.stack ?? outcome.error.message}`)
    }
  }

  private async execute(token: string, job: Job): Promise<Outcome> {
    try {
      const run = this.functionFor(job.taskType)
      return { kind: 'done', value: toWire(await run(job, this.#ipc.toggleFor(token))) }
    } catch (thrown) {
      return failed(thrown)
    }
  }

  /** A `taskType` like `constructor` must not find what every object inherits. */
  private functionFor(taskType: string): TaskFunction {
    const run = Object.hasOwn(this.#taskMap, taskType) ? this.#taskMap[taskType] : undefined
    if (run === undefined) throw new UnknownTaskTypeError(taskType, Object.keys(this.#taskMap))
    return run
  }

  /** @returns the outcome that was sent: a result that cannot be sent fails the job */
  private report(token: string, outcome: Outcome): Outcome {
    try {
      this.#link.send({ kind: 'outcome', token, outcome })
      return outcome
    } catch (error) {
      const unsendable = failed(new UnsendableValueError('the result of the task', error))
      this.#link.send({ kind: 'outcome', token, outcome: unsendable })
      return unsendable
    }
  }
}

function failed(thrown: unknown): Outcome {
  return { kind: 'failed', error: errorToWire(toError(thrown)) }
}

import type { Log } from '../../common/log'
import type { Encoded } from '../../common/pipe/codec'
import { MAX_LOG_LINES, encodeProgress, lineFor } from '../../common/report'
import type { Job } from '../../common/task'
import type { ParentLink } from './parent-link'

/** A job sends at most one report in this many milliseconds. What it reports meanwhile goes into the next. */
const REPORT_EVERY_MS = 100

/** The reports of one running job: its progress, and the lines of its log. */
export class JobReports {
  readonly #link: Pick<ParentLink, 'send' | 'flush'>
  readonly #log: Log
  readonly #job: Job
  readonly #token: string
  #progress: Encoded | undefined
  #lines: { readonly at: number; readonly text: string }[] = []
  /** On performance.now. */
  #sentAt = -Infinity
  #timer: NodeJS.Timeout | undefined
  #isOver = false

  constructor(job: Job, token: string, link: Pick<ParentLink, 'send' | 'flush'>, log: Log) {
    this.#job = job
    this.#token = token
    this.#link = link
    this.#log = log
  }

  /** @throws InvalidArgumentError */
  readonly progress = (value: unknown): void => {
    this.#progress = encodeProgress(value)
    this.report()
  }

  /** @throws InvalidArgumentError */
  readonly log = (text: string): void => {
    this.#lines.push(lineFor(text))
    // The master keeps no more.
    if (this.#lines.length > MAX_LOG_LINES) this.#lines.shift()
    this.report()
  }

  /** The outcome comes next: what is left is sent before it. */
  jobEnded(): void {
    if (this.#timer !== undefined) this.send()
    this.#isOver = true
  }

  private report(): void {
    if (this.#isOver) {
      const { _id, taskType } = this.#job
      this.#log.warn(`${taskType}:${_id} reported after its job had ended; that is dropped`)
    } else if (performance.now() - this.#sentAt >= REPORT_EVERY_MS) {
      this.send()
      // A function that blocks the event loop reports, too.
      void this.#link.flush()
    } else this.#timer ??= setTimeout(() => this.send(), REPORT_EVERY_MS)
  }

  private send(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#sentAt = performance.now()
    const progress = this.#progress === undefined ? {} : { progress: this.#progress }
    const lines = this.#lines.length === 0 ? {} : { lines: this.#lines }
    this.#progress = undefined
    this.#lines = []
    this.#link.send({ kind: 'report', token: this.#token, ...progress, ...lines })
  }
}

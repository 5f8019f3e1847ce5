import { MAX_LOG_LINES } from '../../../common/report'
import type { LogLine, Task } from '../../../common/task'
import type { PlainValue } from '../../../common/plain'
import type { ReportFields } from '../../queue/claim'

const MAX_LOG_CHARACTERS = 64 * 1024

/** A task's log is written at most once in this many milliseconds: it is written as a whole. */
const LOG_EVERY_MS = 2000

/** What a job has reported: what of it is stored, and what is not yet. */
export class JobReport {
  readonly #task: Task
  #startedAt: Date | undefined
  #log: readonly LogLine[]
  #unsaved: { startedAt?: Date; progress?: PlainValue } = {}
  #isLogUnsaved = false
  /** On performance.now. */
  #logSavedAt = -Infinity

  constructor(task: Task) {
    this.#task = task
    this.#log = task.log ?? []
  }

  /** Its function is about to be called. Only who follows a task wants to know that before it has ended. */
  started(): void {
    this.#startedAt = new Date()
    if (this.#task.audience !== undefined) this.#unsaved.startedAt = this.#startedAt
  }

  progressed(progress: PlainValue): void {
    this.#unsaved.progress = progress
  }

  logged(lines: readonly LogLine[]): void {
    this.#log = lastOf([...this.#log, ...lines])
    this.#isLogUnsaved = true
  }

  get hasUnsaved(): boolean {
    return this.#isLogUnsaved || Object.keys(this.#unsaved).length > 0
  }

  /**
   * What is to be written now; undefined if nothing is.
   *
   * @param isCheap whether the log need not wait, since nothing is written to the database
   */
  takeUnsaved(isCheap: boolean): ReportFields | undefined {
    const isLogDue = this.#isLogUnsaved && (isCheap || performance.now() - this.#logSavedAt >= LOG_EVERY_MS)
    const fields = { ...this.#unsaved, ...(isLogDue ? { log: this.#log } : {}) }
    this.#unsaved = {}
    if (isLogDue) {
      this.#isLogUnsaved = false
      this.#logSavedAt = performance.now()
    }
    return Object.keys(fields).length === 0 ? undefined : fields
  }

  /** A write of these fields has failed. What was reported since is newer. */
  putBack({ log, ...fields }: ReportFields): void {
    this.#unsaved = { ...fields, ...this.#unsaved }
    if (log !== undefined) this.#isLogUnsaved = true
  }

  /** What the settlement writes with the outcome. */
  get last(): ReportFields {
    const started = this.#startedAt === undefined ? {} : { startedAt: this.#startedAt }
    return { ...started, ...this.#unsaved, ...(this.#isLogUnsaved ? { log: this.#log } : {}) }
  }
}

function lastOf(lines: readonly LogLine[]): readonly LogLine[] {
  let characters = 0
  let first = lines.length
  while (first > Math.max(0, lines.length - MAX_LOG_LINES)) {
    characters += lines[first - 1]?.text.length ?? 0
    if (characters > MAX_LOG_CHARACTERS) break
    first--
  }
  return lines.slice(first)
}

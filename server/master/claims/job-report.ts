import { MAX_LOG_LINES } from '../../../common/report'
import type { LogLine, Task } from '../../../common/task'
import type { PlainValue } from '../../../common/plain'
import type { ReportFields } from '../../queue/claim'

const MAX_LOG_BYTES = 64 * 1024

/** A task's log is written at most once in this many milliseconds: it is written as a whole. */
const LOG_EVERY_MS = 2000

/** What a job has reported: what of it is stored, and what is not yet. */
export class JobReport {
  readonly #task: Task
  #startedAt: Date | undefined
  #log: readonly LogLine[]
  #unsaved: { startedAt?: Date; progress?: PlainValue } = {}
  /** What is being written. The settlement may overtake that write, so it writes this again. */
  #inFlight: ReportFields = {}
  #isLogUnsaved = false
  /** On performance.now. */
  #logSavedAt = -Infinity

  constructor(task: Task) {
    this.#task = task
    this.#log = linesIn(task.log)
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
    this.#inFlight = fields
    return Object.keys(fields).length === 0 ? undefined : fields
  }

  /** The write of what was taken is acknowledged. */
  saved(): void {
    this.#inFlight = {}
  }

  /** The write of what was taken has failed. What was reported since is newer. */
  putBack(): void {
    const { log, ...fields } = this.#inFlight
    this.#unsaved = { ...fields, ...this.#unsaved }
    if (log !== undefined) this.#isLogUnsaved = true
    this.#inFlight = {}
  }

  /** What the settlement writes with the outcome. */
  get last(): ReportFields {
    const started = this.#startedAt === undefined ? {} : { startedAt: this.#startedAt }
    const log = this.#isLogUnsaved ? { log: this.#log } : {}
    return { ...started, ...this.#inFlight, ...this.#unsaved, ...log }
  }
}

/** Other code may have written anything there. */
function linesIn(log: unknown): readonly LogLine[] {
  const isLine = (line: Partial<LogLine> | null) => line?.at instanceof Date && typeof line.text === 'string'
  return Array.isArray(log) ? (log as LogLine[]).filter(isLine) : []
}

function lastOf(lines: readonly LogLine[]): readonly LogLine[] {
  let bytes = 0
  let first = lines.length
  while (first > Math.max(0, lines.length - MAX_LOG_LINES)) {
    bytes += Buffer.byteLength(lines[first - 1]?.text ?? '')
    if (bytes > MAX_LOG_BYTES) break
    first--
  }
  return lines.slice(first)
}

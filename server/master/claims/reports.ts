import { type PlainValue, copyOfPlain } from '../../../common/plain'
import { type Report, linesOf, progressOf } from '../../../common/report'
import type { ReportStore } from '../../queue/claim'
import type { MemoryQueue } from '../../queue/memory/memory-queue'
import type { Events } from './events'
import type { HeldClaim } from './held-claim'

/** The reports of all jobs of a master are written together, at most once in this many milliseconds. */
const WRITE_EVERY_MS = 500

export interface ReportsParts {
  readonly events: Events
  readonly memory: MemoryQueue
  readonly store: ReportStore
}

/** Passes on what running jobs report: their progress, and the lines of their logs. */
export class Reports {
  readonly #parts: ReportsParts
  /** The persistent claims with reports that are not written yet. */
  readonly #unsaved = new Set<HeldClaim>()
  #isScheduled = false

  constructor(parts: ReportsParts) {
    this.#parts = parts
  }

  jobStarted(held: HeldClaim): void {
    held.report.started()
    if (held.report.hasUnsaved) this.save(held)
  }

  // Invariant 2: the report of a job whose claim is void changes nothing.
  jobReported(held: HeldClaim, report: Report): void {
    if (held.validity !== 'held') return
    const lines = linesOf(report)
    if (lines.length > 0) held.report.logged(lines)
    const progress = progressOf(report)
    // A copy, since the listeners below may change theirs.
    if (progress !== undefined) held.report.progressed(copyOfPlain(progress.value) as PlainValue)
    this.save(held)
    // If the lease has expired, another master may run the task. Whether it does, the write finds out.
    if (progress === undefined || held.lease?.isOver === true) return
    const { value } = progress
    void this.#parts.events.emit('progress', { value, task: { ...held.claim.task, progress: value } })
  }

  private save(held: HeldClaim): void {
    if (held.claim.inMemory) {
      const fields = held.report.takeUnsaved(true)
      if (fields !== undefined) this.#parts.memory.report(held.claim, fields)
      held.report.saved()
      return
    }
    this.#unsaved.add(held)
    if (this.#isScheduled) return
    this.#isScheduled = true
    setTimeout(() => void this.writeAll(), WRITE_EVERY_MS).unref()
  }

  private async writeAll(): Promise<void> {
    const reports = [...this.#unsaved].flatMap(held => {
      const fields = held.validity === 'held' ? held.report.takeUnsaved(false) : undefined
      return fields === undefined ? [] : [{ held, claim: held.claim, fields }]
    })
    try {
      if (reports.length > 0) await this.#parts.store.report(reports)
      for (const { held } of reports) held.report.saved()
    } catch (error) {
      // Either a document has no room for its report, which is dropped; or the database is away, as the poll reports.
      const isDropped = 'writeErrors' in (error as object)
      for (const { held } of reports) {
        if (isDropped) held.report.saved()
        else held.report.putBack()
      }
    }
    this.#isScheduled = false
    for (const held of [...this.#unsaved]) {
      this.#unsaved.delete(held)
      if (held.validity === 'held' && held.report.hasUnsaved) this.save(held)
    }
  }
}

import type { Log } from '../../../common/log'
import type { RawCollection } from '../../queue/mongo/documents/schema'

const CHECK_EVERY_MS = 1000

/** Counts checks, not milliseconds: while this process was stopped, it did not wait for an answer. */
const CHECKS_UNTIL_OVERDUE = 5

/** The methods with which the queue writes. Reads are watched as part of a poll. Building an index may take long. */
const WRITES: ReadonlySet<unknown> = new Set([
  'bulkWrite',
  'deleteMany',
  'findOneAndDelete',
  'findOneAndUpdate',
  'insertOne',
  'updateMany',
  'updateOne',
])

/**
 * Logs when the database stops answering, and when it answers again: one line each. A write waits silently for a
 * majority of the members, without a time limit: a limit would leave open whether the write was made.
 */
export class AnswerMonitor {
  readonly #log: Log
  /** The answers that are awaited, and for how many checks each has been. */
  readonly #pending = new Map<object, number>()
  #interval: NodeJS.Timeout | undefined
  #isOverdue = false

  constructor(log: Log) {
    this.#log = log
  }

  /** Watches an answer of the database. @returns the same promise */
  watch<Value>(answer: Promise<Value>): Promise<Value> {
    this.#pending.set(answer, 0)
    this.#interval ??= setInterval(() => {
      this.check()
    }, CHECK_EVERY_MS).unref()
    answer.then(
      () => {
        this.answered(answer, true)
      },
      () => {
        this.answered(answer, false)
      },
    )
    return answer
  }

  /** @returns the same collection, with all its writes watched */
  watchWrites(tasks: RawCollection): RawCollection {
    return new Proxy(tasks, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name)
        if (typeof value !== 'function') return value
        const method = value.bind(target) as (...args: unknown[]) => unknown
        return WRITES.has(name) ? (...args: unknown[]) => this.watch(method(...args) as Promise<unknown>) : method
      },
    })
  }

  private check(): void {
    for (const [answer, checks] of this.#pending) {
      this.#pending.set(answer, checks + 1)
      if (checks + 1 === CHECKS_UNTIL_OVERDUE) this.overdue()
    }
    if (this.#pending.size > 0) return
    clearInterval(this.#interval)
    this.#interval = undefined
  }

  private overdue(): void {
    // Invariant 10: a majority that does not answer is reported within seconds, once.
    if (this.#isOverdue) return
    this.#isOverdue = true
    this.#log.error(
      `no answer from a majority of the database's members for ${String((CHECKS_UNTIL_OVERDUE * CHECK_EVERY_MS) / 1000)} s: ` +
        'running jobs go on, but no task is claimed, and no outcome is stored, until it answers',
    )
  }

  /** @param isDone false for an error: it may come from the connection, so it is no answer */
  private answered(answer: object, isDone: boolean): void {
    this.#pending.delete(answer)
    if (!isDone || !this.#isOverdue) return
    for (const checks of this.#pending.values()) if (checks >= CHECKS_UNTIL_OVERDUE) return
    this.#isOverdue = false
    this.#log.warn("a majority of the database's members answers again")
  }
}

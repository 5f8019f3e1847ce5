import type { Log } from '../../../common/log'
import type { RawCollection } from '../../queue/mongo/schema'

const CHECK_EVERY_MS = 1000

/** Checks are counted, not milliseconds: a process that was stopped has not waited for an answer meanwhile. */
const CHECKS_UNTIL_SAID = 5

/** The writes of the queue. Reads are watched as part of a poll; building an index may take long. */
const WRITES: ReadonlySet<unknown> = new Set([
  'bulkWrite',
  'deleteMany',
  'deleteOne',
  'findOneAndUpdate',
  'updateMany',
  'updateOne',
])

/**
 * That the database does not answer: one line when it begins and one when it is over. A write waits for a majority of
 * the members without any limit, and in silence, as a limit would leave open whether it was made.
 */
export class AnswerMonitor {
  readonly #log: Log
  /** What is awaited, and at how many checks it was. */
  readonly #pending = new Map<object, number>()
  #interval: NodeJS.Timeout | undefined
  #isOverdue = false

  constructor(log: Log) {
    this.#log = log
  }

  /** @returns the same promise */
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

  /** The same collection; all its writes are watched. */
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
      if (checks + 1 === CHECKS_UNTIL_SAID) this.overdue()
    }
    if (this.#pending.size > 0) return
    clearInterval(this.#interval)
    this.#interval = undefined
  }

  private overdue(): void {
    if (this.#isOverdue) return
    this.#isOverdue = true
    this.#log.error(
      `no answer from a majority of the database's members for ${String((CHECKS_UNTIL_SAID * CHECK_EVERY_MS) / 1000)} s: ` +
        'running jobs go on, but no task is claimed, and no outcome is stored, until it answers',
    )
  }

  /** @param isDone false for an error, which may be that of a connection, and is no answer */
  private answered(answer: object, isDone: boolean): void {
    this.#pending.delete(answer)
    if (!isDone || !this.#isOverdue) return
    for (const checks of this.#pending.values()) if (checks >= CHECKS_UNTIL_SAID) return
    this.#isOverdue = false
    this.#log.warn("a majority of the database's members answers again")
  }
}

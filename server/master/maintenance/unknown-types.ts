import type { Log } from '../../../common/log'
import type { Definitions } from '../../../common/task-map'
import { counted, textOfDuration } from '../../../common/text'
import { STRANDED_MAX_COUNT, type StrandedType } from '../../queue/mongo/maintenance'

/** Warns of tasks whose type this master has no function for: another app's, or one removed, renamed or misspelled. */
export class UnknownTypes {
  readonly #definitions: Definitions
  readonly #log: Log
  readonly #warned = new Set<string>()

  constructor(definitions: Definitions, log: Log) {
    this.#definitions = definitions
    this.#log = log
  }

  /** A task was added: one warning for each type. */
  taskAdded(taskType: string): void {
    if (this.#definitions.has(taskType) || this.#warned.has(taskType)) return
    this.#warned.add(taskType)
    this.#log.warn(
      `a task of type "${taskType}" was added, which this app's task map has no function for: ` +
        'unless it is in memory, it waits for an app that has one',
    )
  }

  /** Called at the start, and every hour. */
  tasksStranded(stranded: readonly StrandedType[]): void {
    for (const { taskType, count, age } of stranded) {
      if (count === 0) continue
      const atLeast = count === STRANDED_MAX_COUNT ? 'at least ' : ''
      this.#log.warn(
        `${atLeast}${counted(count, 'waiting task')} of type "${taskType}", which no task map here has; ` +
          `the oldest is ${textOfDuration(age)} old`,
      )
    }
  }
}

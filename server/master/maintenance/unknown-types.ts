import type { Log } from '../../../common/log'
import type { Definitions } from '../../../common/task-map'

/** Warns, once for each, of added tasks whose type this master does not run: another app's, or a slip of the pen. */
export class UnknownTypes {
  readonly #definitions: Definitions
  readonly #log: Log
  readonly #warned = new Set<string>()

  constructor(definitions: Definitions, log: Log) {
    this.#definitions = definitions
    this.#log = log
  }

  warnOf(taskType: string): void {
    if (this.#definitions.has(taskType) || this.#warned.has(taskType)) return
    this.#warned.add(taskType)
    this.#log.warn(
      `a task of type "${taskType}" was added, which this app's task map has no function for: ` +
        'unless it is in memory, it waits for an app that has one',
    )
  }
}

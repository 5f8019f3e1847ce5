import { copyPlain } from '../../common/plain'
import { parse } from '../../common/schema'
import type { Task } from '../../common/task'
import type { Definitions } from '../../common/task-map'

/** Checks the data of new tasks, as far as this process knows the schemas of their types. */
export class Schemas {
  #definitions: Definitions = new Map()

  /** Called once this process has a cluster. */
  configure(definitions: Definitions): void {
    this.#definitions = definitions
  }

  /**
   * The tasks keep what was given: a schema that changes it does so once, before the run. @throws as `parse` (rejects)
   */
  async check(tasks: readonly Pick<Task, 'data' | 'taskType'>[]): Promise<void> {
    for (const { data, taskType } of tasks) {
      const schema = this.#definitions.get(taskType)?.schema
      if (schema !== undefined) await parse(schema, taskType, copyOf(data))
    }
  }
}

/** The schema is of the application, and may change what it checks. */
function copyOf(data: unknown): unknown {
  const copied = copyPlain(data)
  return 'copy' in copied ? copied.copy : data
}

import { copyOfPlain } from '../../common/plain'
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
   * The tasks keep what was given: a schema that changes it does so once, before the run.
   *
   * @param where the call that gave the tasks as a list, for errors
   * @throws as `parse` (rejects)
   */
  async check(tasks: readonly Pick<Task, 'data' | 'taskType'>[], where?: string): Promise<void> {
    for (const [index, { data, taskType }] of tasks.entries()) {
      const schema = this.#definitions.get(taskType)?.schema
      // A copy, since the schema is of the application, and may change what it checks.
      const at = where === undefined ? undefined : `${where}[${String(index)}]`
      if (schema !== undefined) await parse(schema, taskType, copyOfPlain(data), at)
    }
  }
}

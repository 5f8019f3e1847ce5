import type { Log } from '../../../common/log'
import type { Definitions } from '../../../common/task-map'
import { counted, textOfDuration } from '../../../common/text'
import { type MongoMaintenance, STRANDED_MAX_COUNT, type StrandedType } from '../../queue/mongo/maintenance'

const NAME_STRANDED_EVERY_MS = 3_600_000

const MAX_SHOWN_TYPES = 20

export interface UnknownTypesParts {
  readonly definitions: Definitions
  readonly log: Log
  readonly queue: Pick<MongoMaintenance, 'stranded'>
}

/**
 * Warns of tasks whose type this master has no function for. The type belongs to another app, or was dropped, renamed
 * or misspelled.
 */
export class UnknownTypes {
  readonly #parts: UnknownTypesParts
  readonly #warned = new Set<string>()
  /** On performance.now. */
  #nameStrandedAt = 0

  constructor(parts: UnknownTypesParts) {
    this.#parts = parts
  }

  /** A task was added: one warning for each type. */
  taskAdded(taskType: string, inMemory: boolean): void {
    const { definitions, log } = this.#parts
    if (definitions.has(taskType) || this.#warned.has(taskType)) return
    this.#warned.add(taskType)
    const known = [...definitions.keys()].slice(0, MAX_SHOWN_TYPES).join(', ') || 'none'
    const next = inMemory ? 'it will fail' : 'it waits for an app that has one'
    log.warn(
      `a task of type "${taskType}" was added, and this task map has no function for it (it has: ${known}): ${next}`,
    )
  }

  /** Invariant 6: names the waiting tasks of other types, at the start and every hour. Nothing waits for that. */
  nameStrandedIfDue(): void {
    if (performance.now() < this.#nameStrandedAt) return
    this.#nameStrandedAt = performance.now() + NAME_STRANDED_EVERY_MS
    void this.nameStranded()
  }

  private async nameStranded(): Promise<void> {
    try {
      const { others, types, untyped } = await this.#parts.queue.stranded()
      for (const type of types) if (type.count > 0) this.#parts.log.warn(textOf(type))
      if (untyped > 0) this.#parts.log.warn(`${counted(untyped, 'waiting task')} whose taskType is no text: none runs`)
      if (others > 0) this.#parts.log.warn(`waiting tasks of ${counted(others, 'more type')} that no task map here has`)
    } catch {
      // The database is away, which the poll reports.
    }
  }
}

function textOf({ taskType, count, age }: StrandedType): string {
  const atLeast = count === STRANDED_MAX_COUNT ? 'at least ' : ''
  return (
    `${atLeast}${counted(count, 'waiting task')} of type "${taskType}", which no task map here has; ` +
    `the oldest is ${textOfDuration(Math.max(0, age))} old`
  )
}

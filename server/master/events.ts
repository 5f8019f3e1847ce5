import { messageOf, textOf } from '../../common/errors'
import type { Log } from '../../common/log'
import type { Task } from '../../common/task'
import type { Listeners, TaskEvents, TaskEventType } from '../queue/listeners'

/** Tells the application's listeners. What they throw is logged, and stops nothing. */
export class Events {
  readonly #listeners: Listeners
  readonly #log: Log

  constructor(listeners: Listeners, log: Log) {
    this.#listeners = listeners
    this.#log = log
  }

  /** Never rejects. @param task as it was before */
  tellCancelled(task: Task): Promise<void> {
    return this.tell('cancelled', { task: { ...task, state: 'cancelled', cancelledAt: new Date() } })
  }

  /** Never rejects. */
  async tell<Type extends TaskEventType>(type: Type, event: TaskEvents[Type]): Promise<void> {
    const error = await this.#listeners.emit(type, event)
    if (error === undefined) return
    this.#log.taskError(event.task, `the '${type}' listener threw: ${textOf(error, 'stack') ?? messageOf(error)}`)
  }
}

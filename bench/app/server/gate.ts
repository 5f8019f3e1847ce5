import { TaskQueue, type MessageBroker } from 'meteor/nschwarz:cluster'

/**
 * Keeps all workers busy, so that tasks can be added without being run. When the gate opens, all workers are warm and
 * start at once.
 */
export class Gate {
  readonly #workers: number
  readonly #answers: (() => void)[] = []
  #allHeld: (() => void) | undefined

  constructor(workers: number) {
    this.#workers = workers
  }

  readonly messageBroker: MessageBroker = respond => {
    this.#answers.push(() => {
      respond(null)
    })
    if (this.#answers.length === this.#workers) this.#allHeld?.()
  }

  /** Resolves when each worker runs a task that ends when the gate is opened. */
  async close(): Promise<void> {
    const allHeld = new Promise<void>(resolve => {
      this.#allHeld = resolve
    })
    // In-memory tasks go before all others, and leave nothing in the database.
    for (let index = 0; index < this.#workers; index++) {
      await TaskQueue.addTask({ taskType: 'hold', data: {}, inMemory: true })
    }
    await allHeld
  }

  open(): void {
    for (const answer of this.#answers.splice(0)) answer()
  }
}

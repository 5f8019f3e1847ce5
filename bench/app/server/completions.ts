import { TaskQueue } from 'meteor/nschwarz:cluster'

interface Awaited {
  readonly taskType: string
  readonly count: number
  resolve(value: unknown): void
}

/** Counts the `done` events of each task type. */
export class Completions {
  readonly #counts = new Map<string, number>()
  #awaited: Awaited | undefined

  constructor() {
    TaskQueue.addEventListener('done', ({ value, task: { taskType } }) => {
      const count = this.count(taskType) + 1
      this.#counts.set(taskType, count)
      if (this.#awaited?.taskType === taskType && this.#awaited.count === count) this.#awaited.resolve(value)
    })
    TaskQueue.addEventListener('error', ({ value, task }) => {
      // The measurement is void; the bench shows the last lines that this process printed.
      console.error(`the task ${task.taskType} failed:`, value)
      process.exit(1)
    })
  }

  count(taskType: string): number {
    return this.#counts.get(taskType) ?? 0
  }

  /** Waits for the next `count` tasks of this type, one wait at a time. @returns the value of the last of them */
  next(taskType: string, count = 1): Promise<unknown> {
    return new Promise(resolve => {
      this.#awaited = { taskType, count: this.count(taskType) + count, resolve }
    })
  }
}

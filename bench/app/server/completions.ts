import { TaskQueue } from 'meteor/nschwarz:cluster'

interface Awaited {
  readonly taskType: string
  readonly count: number
  resolve(value: unknown): void
}

/** How many tasks of each type were told to be done. */
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
      // Whatever is measured has gone wrong; the bench shows what was printed last.
      console.error(`the task ${task.taskType} failed:`, value)
      process.exit(1)
    })
  }

  count(taskType: string): number {
    return this.#counts.get(taskType) ?? 0
  }

  /** The value of the last of the next tasks of this type, so many of them. One wait at a time. */
  next(taskType: string, count = 1): Promise<unknown> {
    return new Promise(resolve => {
      this.#awaited = { taskType, count: this.count(taskType) + count, resolve }
    })
  }
}

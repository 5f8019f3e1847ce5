import { TaskQueue, type Task } from 'meteor/nschwarz:cluster'
import type { Flag } from './flags'
import type { Baseline, Rendered, taskMap } from './tasks'

type OwnType = keyof typeof taskMap

export type Phase = 'baseline' | 'rendering' | 'ended'

/** One rendering of all flags: by one process first, for comparison, and then by the workers, a task for each flag. */
export class Run {
  readonly flags: readonly Flag[]
  readonly done = new Set<string>()
  /** The errors, by flag. */
  readonly failed = new Map<string, string>()
  /** The workers that have rendered a flag. */
  readonly workers = new Set<number>()
  /** Resolves when all tasks have ended, or none will start. */
  readonly ended: Promise<void>
  baseline: Baseline | undefined
  /** Why the run broke off: the comparison failed, or the queue did not take the tasks. */
  problem: string | undefined
  #startedAt: number | undefined
  #endedAt: number | undefined
  #end: () => void = () => undefined

  constructor(flags: readonly Flag[]) {
    this.flags = flags
    this.ended = new Promise(resolve => {
      this.#end = resolve
    })
  }

  /** Removes what a former run left in the queue, and adds the comparison. */
  async start(): Promise<void> {
    TaskQueue.addEventListener('done', ({ task, value }) => this.onDone(task, value))
    TaskQueue.addEventListener('error', ({ task, value }) => {
      this.onError(task, value)
    })
    const former: OwnType[] = ['baseline', 'render']
    await TaskQueue.removeAsync({ taskType: { $in: former } })
    await TaskQueue.addTask({ taskType: 'baseline', _id: 'baseline', data: {} })
  }

  get phase(): Phase {
    if (this.#endedAt !== undefined) return 'ended'
    return this.#startedAt === undefined ? 'baseline' : 'rendering'
  }

  /** Flags whose task has not ended. */
  get waiting(): number {
    return this.flags.length - this.done.size - this.failed.size
  }

  /** How long the workers have been at it, from the moment when the first flag was added. */
  get milliseconds(): number {
    return this.#startedAt === undefined ? 0 : (this.#endedAt ?? performance.now()) - this.#startedAt
  }

  private async onDone(task: Task, value: unknown): Promise<void> {
    if (task.taskType === 'baseline') {
      this.baseline = value as Baseline
      await this.addFlags()
    } else if (task.taskType === 'render') {
      this.workers.add((value as Rendered).pid)
      this.done.add(codeOf(task))
      this.endIfComplete()
    }
  }

  private onError(task: Task, error: Error): void {
    if (task.taskType === 'baseline') {
      this.breakOff(`the comparison failed: ${error.message}`)
    } else if (task.taskType === 'render') {
      this.failed.set(codeOf(task), error.message)
      this.endIfComplete()
    }
  }

  private async addFlags(): Promise<void> {
    this.#startedAt = performance.now()
    try {
      await Promise.all(this.flags.map(({ code }) => addFlag(code)))
    } catch (error) {
      this.breakOff(`a flag could not be added: ${String(error)}`)
    }
  }

  private endIfComplete(): void {
    if (this.waiting === 0) this.end()
  }

  private breakOff(problem: string): void {
    this.problem = problem
    this.end()
  }

  private end(): void {
    this.#endedAt ??= performance.now()
    this.#end()
  }
}

function addFlag(code: string): Promise<string> {
  return TaskQueue.addTask({ taskType: 'render', _id: `render-${code}`, data: { code } })
}

function codeOf(task: Task): string {
  return (task as Task<{ code: string }>).data.code
}

import { TaskQueue, type Task } from 'meteor/nschwarz:cluster'
import type { Flag } from './flags'
import type { Baseline, Rendered, taskMap } from './tasks'

type OwnType = keyof typeof taskMap

export type Phase = 'rendering' | 'baseline' | 'ended'

/** One rendering of all flags: by the workers, a task for each flag, and then by one process, for comparison. */
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
  /** How long the first worker took from its start to its first job. */
  bootMilliseconds: number | undefined
  /** Why the run broke off: the comparison failed, or the queue did not take the tasks. */
  problem: string | undefined
  /** When the first flag was begun, and when the last was rendered; times of day. */
  #startedAt = Infinity
  #renderedAt: number | undefined
  #hasEnded = false
  #end: () => void = () => undefined

  constructor(flags: readonly Flag[]) {
    this.flags = flags
    this.ended = new Promise(resolve => {
      this.#end = resolve
    })
  }

  /** Removes what a former run left in the queue, and adds a task for each flag. */
  async start(): Promise<void> {
    TaskQueue.addEventListener('done', ({ task, value }) => this.onDone(task, value))
    TaskQueue.addEventListener('error', ({ task, value }) => {
      this.onError(task, value)
    })
    const former: OwnType[] = ['baseline', 'render']
    await TaskQueue.removeAsync({ taskType: { $in: former } })
    await Promise.all(this.flags.map(({ code }) => addFlag(code)))
  }

  get phase(): Phase {
    if (this.#hasEnded) return 'ended'
    return this.#renderedAt === undefined ? 'rendering' : 'baseline'
  }

  /** Flags whose task has not ended. */
  get waiting(): number {
    return this.flags.length - this.done.size - this.failed.size
  }

  /** How long the workers took, from their first job on: they boot once, and are kept. */
  get milliseconds(): number {
    return Math.max(0, (this.#renderedAt ?? Date.now()) - this.#startedAt)
  }

  private async onDone(task: Task, value: unknown): Promise<void> {
    if (task.taskType === 'baseline') {
      this.baseline = value as Baseline
      this.end()
    } else if (task.taskType === 'render') {
      this.onRendered(value as Rendered)
      this.done.add(codeOf(task))
      await this.compareIfComplete()
    }
  }

  private onError(task: Task, error: Error): void {
    if (task.taskType === 'baseline') {
      this.breakOff(`the comparison failed: ${error.message}`)
    } else if (task.taskType === 'render') {
      this.failed.set(codeOf(task), error.message)
      void this.compareIfComplete()
    }
  }

  private onRendered({ bootMilliseconds, pid, startedAt }: Rendered): void {
    this.bootMilliseconds ??= bootMilliseconds
    this.#startedAt = Math.min(this.#startedAt, startedAt)
    this.workers.add(pid)
  }

  private async compareIfComplete(): Promise<void> {
    if (this.waiting > 0 || this.#renderedAt !== undefined) return
    this.#renderedAt = Date.now()
    try {
      await TaskQueue.addTask({ taskType: 'baseline', _id: 'baseline', data: {} })
    } catch (error) {
      this.breakOff(`the comparison could not be added: ${String(error)}`)
    }
  }

  private breakOff(problem: string): void {
    this.problem = problem
    this.end()
  }

  private end(): void {
    this.#hasEnded = true
    this.#end()
  }
}

function addFlag(code: string): Promise<string> {
  return TaskQueue.addTask({ taskType: 'render', _id: `render-${code}`, data: { code } })
}

function codeOf(task: Task): string {
  return (task as Task<{ code: string }>).data.code
}

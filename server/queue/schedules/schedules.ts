import { nameHint, wrongValue } from '../../../common/invalid'
import { WrongProcessError } from '../../../common/errors'
import type { Timing } from '../../../common/calendar'
import type { DeclaredSchedule } from '../../../common/schedules'
import { type Task, checkText, createTask } from '../../../common/task'
import type { Schemas } from '../schemas'
import type { Signals } from '../signals'
import {
  type LastTick,
  type ScheduleSet,
  type StoredSchedule,
  type TickOutcome,
  currentOf,
  outcomeOf,
  pause,
  resume,
} from './schedule-set'
import type { Changed, StoredSets } from './stored-sets'

/** What `TaskQueue.schedules` says of a schedule. */
export interface ScheduleStatus {
  readonly name: string
  readonly taskType: string
  /** The cron expression and its time zone; undefined for a schedule with `every`. */
  readonly cron: string | undefined
  readonly timeZone: string | undefined
  /** Milliseconds; undefined for a schedule with `cron`. */
  readonly every: number | undefined
  readonly isPaused: boolean
  /** The next tick; undefined if the schedule is paused, or has no more. */
  readonly nextAt: Date | undefined
  /** The last tick for which a task was added; undefined before the first. */
  readonly last: ScheduleTick | undefined
}

/** A tick of a schedule, and the task that was added for it. */
export interface ScheduleTick {
  readonly at: Date
  readonly taskId: string
  /** How the task has ended; `removed` if it left the queue before that was noticed. Undefined while it has not. */
  readonly outcome: TickOutcome | undefined
}

export interface SchedulesParts {
  readonly add: (task: Task) => Promise<void>
  readonly schemas: Schemas
  readonly sets: StoredSets
  readonly signals: Signals
}

/** The schedules of this app, for any process. */
export class Schedules {
  readonly #parts: SchedulesParts
  #app: string | undefined
  #declared: readonly DeclaredSchedule[] = []

  constructor(parts: SchedulesParts, app: string | undefined) {
    this.#parts = parts
    this.#app = app
  }

  /**
   * Called once this process has a cluster.
   *
   * @param app null: APP_ID
   * @param declared the schedules of this process: a master stores them when it starts to dispatch, after this
   */
  configure(app: string | null, declared: readonly DeclaredSchedule[] = []): void {
    this.#app = app ?? this.#app
    this.#declared = declared
  }

  /** @throws WrongProcessError if the name of the app is not known */
  get app(): string {
    if (this.#app !== undefined && this.#app !== '') return this.#app
    throw new WrongProcessError(
      'schedules need the name of the app: set the option app of `new Cluster`, or the environment variable APP_ID.',
    )
  }

  async list(): Promise<ScheduleStatus[]> {
    const { sets } = this.#parts
    const { set } = await sets.read(this.app)
    const current = currentOf(set)
    const tasks = await sets.tasksOf(current.flatMap(({ last }) => last?.taskId ?? []))
    return current.map(schedule => statusOf(schedule, set.paused.includes(schedule.name), tasks))
  }

  /** @returns the `_id` of the task */
  async run(name: string): Promise<string> {
    checkText('runSchedule.name', name)
    const { set } = await this.#parts.sets.read(this.app)
    const task = createTask(this.find(set, 'runSchedule', name).task, 'runSchedule')
    await this.#parts.schemas.check([task])
    await this.#parts.add(task)
    return task._id
  }

  pause(name: string): Promise<boolean> {
    return this.change('pauseSchedule', name, set => pause(set, name))
  }

  resume(name: string): Promise<boolean> {
    return this.change('resumeSchedule', name, (set, now) => resume(set, name, now))
  }

  private async change(
    method: string,
    name: string,
    changed: (set: ScheduleSet, now: Date) => Changed | undefined,
  ): Promise<boolean> {
    checkText(`${method}.name`, name)
    const { sets, signals } = this.#parts
    for (;;) {
      const { set, now } = await sets.read(this.app)
      this.find(set, method, name)
      const change = changed(set, now)
      if (change === undefined) return false
      // It is false if somebody else has changed the set since it was read.
      if (await sets.replace(set, change)) break
    }
    signals.master?.schedulesChanged()
    return true
  }

  /** @throws InvalidArgumentError naming the schedules that there are */
  private find(set: ScheduleSet, method: string, name: string): Pick<StoredSchedule, 'task'> {
    // What this process declares comes last: it wins, even before its master has stored it.
    const known = new Map([...currentOf(set), ...this.#declared].map(schedule => [schedule.name, schedule]))
    const schedule = known.get(name)
    if (schedule !== undefined) return schedule
    const names = [...known.keys()]
    const allowed = names.length === 0 ? 'the name of a schedule, and this app has none' : `one of ${names.join(', ')}`
    throw wrongValue(`${method}.name`, name, allowed, nameHint(name, names))
  }
}

function statusOf(
  { last, name, nextAt, task, timing }: StoredSchedule,
  isPaused: boolean,
  tasks: ReadonlyMap<string, Pick<Task, 'state'>>,
): ScheduleStatus {
  return {
    name,
    taskType: task.taskType,
    ...timesOf(timing),
    isPaused,
    nextAt: isPaused ? undefined : (nextAt ?? undefined),
    last: last && { at: last.at, taskId: last.taskId, outcome: outcomeOfTick(last, tasks.get(last.taskId)) },
  }
}

/** While the task exists, its state wins over the recorded outcome: it may have been retried. */
function outcomeOfTick({ outcome }: LastTick, task: Pick<Task, 'state'> | undefined): TickOutcome | undefined {
  return task === undefined ? (outcome ?? 'removed') : outcomeOf(task)
}

function timesOf(timing: Timing): Pick<ScheduleStatus, 'cron' | 'every' | 'timeZone'> {
  if ('every' in timing) return { cron: undefined, timeZone: undefined, every: timing.every }
  return { cron: timing.cron, timeZone: timing.timeZone, every: undefined }
}

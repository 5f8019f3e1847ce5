import { createId } from '../../../common/id'
import { DuplicateTaskError } from '../../../common/errors'
import type { Log } from '../../../common/log'
import type { DeclaredSchedule } from '../../../common/schedules'
import { type Task, createTask } from '../../../common/task'
import {
  type LastTask,
  type ScheduleSet,
  type Step,
  type StoredSchedule,
  activeOf,
  declare,
  isDue,
  outcomeOf,
  shouldDeclare,
  startOf,
  step,
  tickHeldFor,
  tickId,
} from '../../queue/schedules/schedule-set'
import type { StoredSets } from '../../queue/schedules/stored-sets'
import type { QueueOutage } from '../maintenance/outage'

export interface TickerParts {
  readonly add: (task: Task) => Promise<void>
  readonly app: string
  readonly declared: readonly DeclaredSchedule[]
  /** Whether this is an application's test: there are no ticks then. */
  readonly isTest: () => boolean
  /** Milliseconds. */
  readonly leaseDuration: number
  readonly log: Log
  readonly outage: QueueOutage
  /** Milliseconds. */
  readonly refreshRate: number
  readonly sets: StoredSets
}

/** How many leases a declaration is valid for without being renewed. */
const DECLARED_LEASES = 2

/**
 * Adds the tasks of the app's schedules when they are due. Every master does so: a tick's task has the same `_id`
 * whoever adds it, and the change that follows is written only if nobody else has made it. The database's clock
 * decides what is due.
 */
export class Ticker {
  readonly #parts: TickerParts
  /** Of this start; undefined while the ticker does not run. */
  #id: string | undefined
  /** When this master started, by the database's clock; undefined until it has declared its schedules. */
  #startedAt: Date | undefined
  #timer: NodeJS.Timeout | undefined
  #passing: Promise<void> | undefined
  /** The schedules whose next tick this master cannot tell: another version of the app has declared them. */
  readonly #unreadable = new Set<string>()
  /** Whether another pass was requested since the last one began. */
  #isAwake = false

  constructor(parts: TickerParts) {
    this.#parts = parts
  }

  start(): void {
    if (this.#parts.isTest()) return
    this.#id = createId()
    this.#startedAt = undefined
    this.wake()
  }

  /** Resolves when no operation is in flight. Another master may declare its schedules at once. */
  async stop(): Promise<void> {
    const id = this.#id
    this.#id = undefined
    clearTimeout(this.#timer)
    await this.#passing
    // If the database is away, the declaration expires by itself.
    if (id !== undefined) await this.#parts.sets.renew(this.#parts.app, id, 0).catch(() => undefined)
  }

  /** The schedules have changed: looks what is due. */
  wake(): void {
    if (this.#id === undefined) return
    clearTimeout(this.#timer)
    this.#isAwake = true
    this.#passing ??= this.passWhileAwake()
  }

  private async passWhileAwake(): Promise<void> {
    let delay = 0
    while (this.#id !== undefined && (this.#isAwake || delay <= 0)) {
      // Reset before the queries, which may miss what happens from now on.
      this.#isAwake = false
      delay = await this.tryPass(this.#id)
    }
    this.#passing = undefined
    if (this.#id !== undefined) this.#timer = setTimeout(() => this.wake(), delay)
  }

  /** @returns milliseconds until the next pass */
  private async tryPass(id: string): Promise<number> {
    const { outage, refreshRate } = this.#parts
    try {
      const delay = await this.pass(id)
      outage.succeeded(this)
      return delay
    } catch (error) {
      outage.failed(this, error)
      return refreshRate
    }
  }

  private async pass(id: string): Promise<number> {
    const { app, sets } = this.#parts
    const { set, now } = await sets.read(app)
    if (shouldDeclare(set, id, this.#startedAt, now)) {
      await this.declare(set, id, now)
      return 0
    }
    await this.renewIfDue(set, id, now)
    const due = activeOf(set).filter(schedule => isDue(schedule, now))
    const stepped = await Promise.all(due.map(schedule => this.advance(schedule, now)))
    const changes = new Map([...(await this.outcomesOf(set)), ...stepped.filter(([before, after]) => before !== after)])
    if (changes.size === 0) return this.delayAfter(set, now)
    // If somebody else has changed the set meanwhile, the next pass finds what is left to do.
    await sets.replace(set, {
      paused: set.paused,
      schedules: set.schedules.map(schedule => changes.get(schedule) ?? schedule),
    })
    return 0
  }

  private async declare(set: ScheduleSet, id: string, now: Date): Promise<void> {
    const { declared, leaseDuration, log, sets } = this.#parts
    const startedAt = this.#startedAt ?? startOf(set, now)
    const schedules = declare(set.schedules, declared, now)
    const declaration = { id, startedAt, lease: DECLARED_LEASES * leaseDuration }
    if (!(await sets.replace(set, { paused: set.paused, schedules }, declaration))) return
    this.#startedAt = startedAt
    for (const { name, removedAt } of schedules) {
      const isNew = set.schedules.every(other => other.name !== name || other.removedAt !== undefined)
      if (removedAt === now) log.info(`schedule ${name} is removed: the app no longer has it`)
      else if (removedAt === undefined && isNew) log.info(`schedule ${name} is added`)
    }
  }

  private async renewIfDue({ declaredBy }: ScheduleSet, id: string, now: Date): Promise<void> {
    const { app, leaseDuration, sets } = this.#parts
    if (declaredBy?.id !== id) return
    const left = declaredBy.expiresAt.getTime() - now.getTime()
    if (left < (DECLARED_LEASES - 0.5) * leaseDuration) await sets.renew(app, id, DECLARED_LEASES * leaseDuration)
  }

  /** Adds the task of the tick first: a master that dies before it has noted the tick leaves it to the others. */
  private async advance(schedule: StoredSchedule, now: Date): Promise<[StoredSchedule, StoredSchedule]> {
    const { app, log, sets } = this.#parts
    const last = await sets.lastTask(app, schedule.name)
    const result = this.stepOf(schedule, last, now)
    if (result === undefined) return [schedule, schedule]
    if (result.skipped !== undefined) {
      const tick = result.skipped.toISOString()
      log.warn(`schedule ${schedule.name}: no task for ${tick}, since the task of the tick before has not ended`)
    }
    return [schedule, await this.addTask(result)]
  }

  /** Undefined if it cannot be told, for example since its `cron` has a form that only later versions know. */
  private stepOf(schedule: StoredSchedule, last: LastTask | undefined, now: Date): Step | undefined {
    const { name } = schedule
    try {
      const result = step(schedule, last, now)
      this.#unreadable.delete(name)
      return result
    } catch (error) {
      if (!this.#unreadable.has(name)) this.#parts.log.error(`schedule ${name}: cannot tell its next tick`, error)
      this.#unreadable.add(name)
      return undefined
    }
  }

  private async addTask({ schedule, tick }: Step): Promise<StoredSchedule> {
    if (tick === undefined) return schedule
    const task = this.createTask(schedule, tick)
    if (task === undefined) return schedule
    try {
      await this.#parts.add(task)
    } catch (error) {
      // Another master was faster.
      if (!(error instanceof DuplicateTaskError)) throw error
    }
    return { ...schedule, last: { taskId: task._id, at: tick } }
  }

  /** The stored schedule may be that of another version, or other code may have changed it. */
  private createTask(schedule: StoredSchedule, tick: Date): Task | undefined {
    const { app, leaseDuration, log } = this.#parts
    const { name, task } = schedule
    const where = `schedule ${name}`
    try {
      const created = createTask({ ...task, _id: tickId(app, name, tick), dueDate: tick }, where)
      return { ...created, schedule: name, idHeldFor: tickHeldFor(schedule, tick, leaseDuration) }
    } catch (error) {
      log.error(`${where}: no task for ${tick.toISOString()}, since it cannot be created`, error)
      return undefined
    }
  }

  /** The schedules whose last task has ended since that was last looked up. */
  private async outcomesOf({ schedules }: ScheduleSet): Promise<[StoredSchedule, StoredSchedule][]> {
    const open = schedules.filter(({ last }) => last !== undefined && last.outcome === undefined)
    const tasks = await this.#parts.sets.tasksOf(open.flatMap(({ last }) => last?.taskId ?? []))
    return open.flatMap(schedule => {
      const { last } = schedule
      const outcome = last && outcomeOf(tasks.get(last.taskId))
      return outcome === undefined || last === undefined
        ? []
        : [[schedule, { ...schedule, last: { ...last, outcome } }]]
    })
  }

  private delayAfter(set: ScheduleSet, now: Date): number {
    const { leaseDuration, refreshRate } = this.#parts
    const active = activeOf(set).filter(({ name }) => !this.#unreadable.has(name))
    const times = active.flatMap(({ nextAt }) => (nextAt === null ? [] : nextAt.getTime() - now.getTime()))
    // Others may declare schedules, resume them, or end the task that a queued tick waits for.
    const lookIn = active.some(({ queuedAt }) => queuedAt !== undefined) ? refreshRate : leaseDuration / 3
    return Math.max(1, Math.min(lookIn, ...times))
  }
}

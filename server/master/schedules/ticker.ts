import { createId } from '../../../common/id'
import { DuplicateTaskError } from '../../../common/errors'
import type { Log } from '../../../common/log'
import type { DeclaredSchedule } from '../../../common/schedules'
import { type Task, createTask } from '../../../common/task'
import { PassLoop } from '../../pass-loop'
import { isRefusal } from '../../queue/mongo/documents/schema'
import type { Schemas } from '../../queue/schemas'
import {
  type ScheduleSet,
  type Step,
  type StoredSchedule,
  activeOf,
  corrected,
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
import type { Outage } from '../outage'

export interface TickerParts {
  readonly add: (task: Task) => Promise<void>
  readonly app: string
  readonly declared: readonly DeclaredSchedule[]
  /** Whether this is an application's test: there are no ticks then. */
  readonly isTest: () => boolean
  /** Milliseconds. */
  readonly leaseDuration: number
  readonly log: Log
  readonly outage: Outage
  /** Milliseconds. */
  readonly refreshRate: number
  readonly schemas: Schemas
  readonly sets: StoredSets
}

/** How many leases a declaration is valid for without being renewed. */
const DECLARED_LEASES = 2

/** What a pass did for one schedule. */
interface Advance {
  readonly before: StoredSchedule
  readonly after: StoredSchedule
  readonly skipped?: Date | undefined
}

/** Whether Croner or MongoDB rejected the values of one schedule. Any other error counts as an outage. */
function isScheduleError(error: unknown): boolean {
  return error instanceof RangeError || error instanceof TypeError || isRefusal(error)
}

/**
 * Adds the tasks of the app's schedules when they are due. Every master does so: a tick's task has the same `_id`
 * whoever adds it, and the set is written only if nobody has changed it since it was read. The database's clock decides
 * what is due.
 */
export class Ticker {
  readonly #parts: TickerParts
  /** A random id of this start; undefined while stopped. */
  #id: string | undefined
  /** When this master started, by the database's clock; undefined until it has declared its schedules. */
  #startedAt: Date | undefined
  /** Milliseconds. */
  #refreshRate: number
  #timer: NodeJS.Timeout | undefined
  readonly #loop = new PassLoop(() => this.passAndSleep())
  /** The schedules whose next tick failed. */
  readonly #failing = new Set<string>()
  /** By schedule: the unfinished task because of which a tick was last skipped; '' if it is not known. */
  readonly #skipped = new Map<string, string>()
  /** What the clock of the database said at the last pass. */
  #seenAt: Date | undefined

  constructor(parts: TickerParts) {
    this.#parts = parts
    this.#refreshRate = parts.refreshRate
  }

  /** Takes effect at once: wakes the ticker. */
  setRefreshRate(milliseconds: number): void {
    this.#refreshRate = milliseconds
    this.wake()
  }

  start(): void {
    if (this.#parts.isTest()) return
    this.#id = createId()
    this.#startedAt = undefined
    void this.logUnfitData()
    this.wake()
  }

  /** Resolves when no operation is in flight. After it, any other live master may declare its schedules at once. */
  async stop(): Promise<void> {
    const id = this.#id
    this.#id = undefined
    clearTimeout(this.#timer)
    await this.#loop.settled()
    // If the database is away, the declaration expires by itself.
    if (id !== undefined) await this.#parts.sets.renew(this.#parts.app, id, 0).catch(() => undefined)
  }

  /** Requests a pass: the schedules have changed. */
  wake(): void {
    if (this.#id !== undefined) this.#loop.request()
  }

  /** Logs schedules whose data does not fit their type's schema. They are declared all the same; their tasks fail. */
  private async logUnfitData(): Promise<void> {
    const { declared, log, schemas } = this.#parts
    for (const { name, task } of declared) {
      await schemas.check([task]).catch((error: unknown) => {
        log.error(`schedule ${name}: all its tasks will fail`, error)
      })
    }
  }

  /** @returns whether another pass may follow */
  private async passAndSleep(): Promise<boolean> {
    clearTimeout(this.#timer)
    const delay = this.#id === undefined ? 0 : await this.tryPass(this.#id)
    if (this.#id === undefined) return false
    this.#timer = setTimeout(() => this.wake(), delay)
    return true
  }

  /** @returns milliseconds until the next pass */
  private async tryPass(id: string): Promise<number> {
    const { outage } = this.#parts
    try {
      const delay = await this.pass(id)
      outage.succeeded(this)
      return delay
    } catch (error) {
      outage.failed(this, error)
      return this.#refreshRate
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
    const results = await Promise.allSettled(activeOf(set).map(schedule => this.advance(schedule, now)))
    this.#seenAt = now
    const steps = results.flatMap(result => (result.status === 'fulfilled' ? result.value : []))
    const changes = new Map<StoredSchedule, StoredSchedule>()
    for (const { before, after } of steps) if (before !== after) changes.set(before, after)
    const others = set.schedules.filter(schedule => !changes.has(schedule))
    for (const [before, after] of await this.outcomesOf(others)) changes.set(before, after)
    if (changes.size > 0) {
      const schedules = set.schedules.map(schedule => changes.get(schedule) ?? schedule)
      // If somebody else has changed the set meanwhile, the next pass finds what is left to do.
      if (await sets.replace(set, { paused: set.paused, schedules })) this.logSkipped(steps)
    }
    const failed = results.find(result => result.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    return changes.size === 0 ? this.delayAfter(set, now) : 0
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
  private async advance(before: StoredSchedule, now: Date): Promise<Advance> {
    const { app, log, sets } = this.#parts
    const { name } = before
    try {
      const wasSetBack = this.#seenAt === undefined || now < this.#seenAt
      const schedule = wasSetBack ? corrected(before, now) : before
      if (!isDue(schedule, now)) return { before, after: schedule }
      const result = step(schedule, await sets.lastTask(app, name), now)
      const after = await this.addTask(result)
      this.#failing.delete(name)
      return { before, after, skipped: result.skipped }
    } catch (error) {
      if (!isScheduleError(error)) throw error
      if (!this.#failing.has(name)) log.error(`schedule ${name}: its next tick failed, retrying`, error)
      this.#failing.add(name)
      return { before, after: before }
    }
  }

  /** One line for all ticks that are skipped because of the same task. */
  private logSkipped(steps: readonly Advance[]): void {
    for (const { before, skipped } of steps) {
      const { last, name } = before
      const taskId = last?.taskId ?? ''
      if (skipped === undefined || this.#skipped.get(name) === taskId) continue
      this.#skipped.set(name, taskId)
      const text = `skipping ticks from ${skipped.toISOString()} on, until the task of the previous tick has ended`
      this.#parts.log.warn(`schedule ${name}: ${text}`)
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

  /** @returns undefined, and logs why, if the stored schedule is invalid: other code, or another version, wrote it */
  private createTask(schedule: StoredSchedule, tick: Date): Task | undefined {
    const { app, leaseDuration, log } = this.#parts
    const { name, task } = schedule
    const where = `schedule ${name}`
    try {
      const created = createTask({ ...task, _id: tickId(app, name, tick), dueDate: tick }, where)
      return { ...created, schedule: name, tickAt: tick, idHeldFor: tickHeldFor(schedule, tick, leaseDuration) }
    } catch (error) {
      log.error(`${where}: cannot create the task of the tick ${tick.toISOString()}`, error)
      return undefined
    }
  }

  /** Each schedule whose last task has ended since the last pass, and its updated copy. */
  private async outcomesOf(schedules: readonly StoredSchedule[]): Promise<[StoredSchedule, StoredSchedule][]> {
    const open = schedules.flatMap(schedule => {
      const { last } = schedule
      return last === undefined || last.outcome !== undefined ? [] : { schedule, last }
    })
    const tasks = await this.#parts.sets.tasksOf(open.map(({ last }) => last.taskId))
    return open.flatMap(({ last, schedule }) => {
      const outcome = outcomeOf(tasks.get(last.taskId))
      return outcome === undefined ? [] : [[schedule, { ...schedule, last: { ...last, outcome } }]]
    })
  }

  private delayAfter(set: ScheduleSet, now: Date): number {
    const { leaseDuration } = this.#parts
    const active = activeOf(set).filter(({ name }) => !this.#failing.has(name))
    const times = active.flatMap(({ nextAt }) => (nextAt === null ? [] : nextAt.getTime() - now.getTime()))
    // Others may declare schedules, resume them, or end the task that a queued tick waits for.
    const pollIn = active.some(({ queuedAt }) => queuedAt !== undefined) ? this.#refreshRate : leaseDuration / 3
    return Math.max(1, Math.min(pollIn, ...times))
  }
}

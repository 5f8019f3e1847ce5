/** The schedules of an application: tasks that are added again and again. */
import { parseCron } from './calendar'
import { MAX_DELAY_MS } from './delay'
import { checkNames, checkReadable, millisecondsHint, nameHint, namesOf, wrongValue } from './invalid'
import { isPlainObject } from './plain'
import { isIntegerWithin } from './policy'
import type { DataOf, RegisteredType } from './register'
import { NEW_TASK_FIELDS, type NewTask, checkText, createTask } from './task'
import type { Definitions } from './task-map'

/** When the tasks of a schedule are due. */
export type ScheduleTiming =
  | {
      /**
       * A cron expression of five fields (minute, hour, day of the month, month, day of the week), or of six, with the
       * second first; or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. At a change to or from daylight saving
       * time, an expression with one second, minute and hour runs a skipped time at the end of the gap, and a repeated
       * time once. With several seconds, minutes or hours, a skipped time has no tick, and a repeated one may have two.
       */
      readonly cron: string
      /** The IANA time zone of `cron`, for instance `Europe/Berlin`. Default `UTC`, never that of the machine. */
      readonly timeZone?: string
      readonly every?: undefined
    }
  | {
      /**
       * Milliseconds between two ticks, from 1000. The first is that long after the schedule was first declared, or
       * after its `every` changed.
       */
      readonly every: number
      readonly cron?: undefined
      readonly timeZone?: undefined
    }

/** What happens to missed and overlapping ticks. */
export interface ScheduleRules {
  /**
   * When no master ran at the time of a tick: `last` catches up on the last tick that was missed, if it is less than a
   * day old. `none` skips ticks that are more than a minute late. Default `last`.
   */
  readonly catchUp?: 'last' | 'none'
  /**
   * When the task of the previous tick has not ended: `skip` adds no task. `queue` adds one when it has ended, however
   * many ticks there were meanwhile. Default `skip`.
   */
  readonly overlap?: 'skip' | 'queue'
}

type DataField<Data> = unknown extends Data
  ? { readonly data?: unknown }
  : Partial<Data> extends Data
    ? { readonly data?: Data }
    : { readonly data: Data }

type ScheduleOf<Type extends string> = Omit<NewTask, '_id' | 'data' | 'dueDate' | 'inMemory' | 'taskType'> & {
  readonly taskType: Type
} & DataField<DataOf<Type>> &
  ScheduleTiming &
  ScheduleRules

/** A schedule: what is given to `addTask` at each tick, and when. `data` is `{}` by default. */
export type Schedule = [RegisteredType] extends [never]
  ? ScheduleOf<string>
  : { [Type in RegisteredType]: ScheduleOf<Type> }[RegisteredType]

/** What a tick gives to `addTask`. */
export type TickTask = Omit<NewTask, '_id' | 'dueDate' | 'inMemory'>

/** A schedule that has been checked. */
export interface DeclaredSchedule extends Required<ScheduleRules> {
  readonly name: string
  readonly task: TickTask
  readonly timing: { readonly cron: string; readonly timeZone: string } | { readonly every: number }
}

const MIN_EVERY_MS = 1000
const EVERY_ALLOWED = `milliseconds: an integer from ${String(MIN_EVERY_MS)} to 2^52`
const CRON_ALLOWED = "a cron expression, for example '30 2 * * *' (minute, hour, day, month, weekday)"
const TIMING_ALLOWED = 'an object with exactly one of cron and every'

/** Five or six fields, or a nickname. Croner also takes dates, which do not recur. */
const CRON_SHAPE = /^\s*(@\w+|\S+(\s+\S+){4,5})\s*$/

const TASK_FIELDS = NEW_TASK_FIELDS.filter(field => !['_id', 'dueDate', 'inMemory'].includes(field))
const FIELDS = [
  ...TASK_FIELDS,
  ...namesOf<'cron' | 'timeZone' | 'every' | keyof ScheduleRules>({
    cron: true,
    timeZone: true,
    every: true,
    catchUp: true,
    overlap: true,
  }),
]

const HINTS: ReadonlyMap<string | undefined, string> = new Map([
  ['_id', 'Each tick has its own.'],
  ['dueDate', 'Each tick has its own.'],
  ['inMemory', 'The tasks of schedules are persistent.'],
  ['interval', 'Did you mean every?'],
  ['timezone', 'Did you mean timeZone?'],
  ['tz', 'Did you mean timeZone?'],
])

/** @throws InvalidArgumentError naming the entry, the field, what was given and what is allowed */
export function resolveSchedules(schedules: Readonly<Record<string, unknown>>, types: Definitions): DeclaredSchedule[] {
  checkReadable('new Cluster: schedules.', schedules)
  return Object.entries(schedules).map(([name, schedule]) => resolveSchedule(name, schedule, types))
}

function resolveSchedule(name: string, given: unknown, types: Definitions): DeclaredSchedule {
  const where = `new Cluster: schedules.${name}`
  // A tick's task has the `_id` app/name@time.
  if (checkText('new Cluster: schedules: a name', name).includes('@')) {
    throw wrongValue('new Cluster: schedules: a name', name, 'a name without @')
  }
  if (!isPlainObject(given)) {
    const hint = typeof given === 'string' ? `Use { taskType: '…', cron: '${given}' }.` : ''
    throw wrongValue(where, given, 'an object { taskType, data, cron or every, … }', hint)
  }
  const unknown = Object.keys(given).find(field => !FIELDS.includes(field))
  checkNames(`${where}.`, given, 'field of a schedule', FIELDS, HINTS.get(unknown))
  const timing = resolveTiming(where, given)
  const { catchUp = 'last', overlap = 'skip' } = given
  if (catchUp !== 'last' && catchUp !== 'none') throw wrongValue(`${where}.catchUp`, catchUp, "'last' or 'none'")
  if (overlap !== 'skip' && overlap !== 'queue') throw wrongValue(`${where}.overlap`, overlap, "'skip' or 'queue'")
  return { name, task: resolveTask(where, given, types), timing, catchUp, overlap }
}

function resolveTask(where: string, given: Readonly<Record<string, unknown>>, types: Definitions): TickTask {
  const fields = Object.fromEntries(Object.entries(given).filter(([field]) => TASK_FIELDS.includes(field)))
  const task = createTask({ ...fields, data: fields.data === undefined ? {} : fields.data } as NewTask, where)
  const known = [...types.keys()]
  if (!known.includes(task.taskType)) {
    const allowed = known.length === 0 ? 'a type of the task map, which has none' : `one of ${known.join(', ')}`
    throw wrongValue(`${where}.taskType`, task.taskType, allowed, nameHint(task.taskType, known))
  }
  const kept = Object.entries(task).filter(([field]) => TASK_FIELDS.includes(field))
  return Object.fromEntries(kept) as unknown as TickTask
}

function resolveTiming(where: string, given: Readonly<Record<string, unknown>>): DeclaredSchedule['timing'] {
  const { cron, every, timeZone } = given
  if (every === undefined && cron === undefined) throw wrongValue(where, given, TIMING_ALLOWED)
  if (every === undefined) return resolveCron(where, cron, timeZone)
  if (!isEvery(every)) throw wrongValue(`${where}.every`, every, EVERY_ALLOWED, millisecondsHint(every, isEvery))
  if (cron !== undefined) throw wrongValue(where, given, TIMING_ALLOWED)
  if (timeZone !== undefined) {
    throw wrongValue(`${where}.timeZone`, timeZone, 'no timeZone when every is set', 'Use it with cron.')
  }
  return { every }
}

function resolveCron(where: string, cron: unknown, timeZone: unknown = 'UTC'): DeclaredSchedule['timing'] {
  if (!isTimeZone(timeZone)) {
    throw wrongValue(`${where}.timeZone`, timeZone, "the name of an IANA time zone, for example 'Europe/Berlin'")
  }
  if (typeof cron !== 'string' || !CRON_SHAPE.test(cron)) throw wrongValue(`${where}.cron`, cron, CRON_ALLOWED)
  try {
    if (parseCron(cron, timeZone).nextRun(new Date(0)) !== null) return { cron, timeZone }
  } catch (error) {
    throw wrongValue(`${where}.cron`, cron, CRON_ALLOWED, `${(error as Error).message.replace(/^\w+: |\.$/g, '')}.`)
  }
  throw wrongValue(`${where}.cron`, cron, CRON_ALLOWED, 'It never matches a date.')
}

function isEvery(value: unknown): value is number {
  return isIntegerWithin(value, MIN_EVERY_MS, MAX_DELAY_MS)
}

function isTimeZone(value: unknown): value is string {
  // Node 22 takes offsets too, Node 20 does not.
  if (typeof value !== 'string' || /^[+-]/.test(value)) return false
  try {
    new Intl.DateTimeFormat('en', { timeZone: value })
    return true
  } catch {
    return false
  }
}

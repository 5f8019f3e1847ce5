import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Timing, tickAfter, tickAtOrBefore } from '../../common/calendar'
import type { DeclaredSchedule } from '../../common/schedules'
import {
  type ScheduleSet,
  type StoredSchedule,
  activeOf,
  declare,
  isDue,
  pause,
  resume,
  shouldDeclare,
  startOf,
  step,
  tickHeldFor,
  tickId,
} from '../../server/queue/schedules/schedule-set'
import { DAY, HOUR, MINUTE, START, ticks, time, timing } from './ticks'

function schedule(of: Timing, after: Date, more: Partial<StoredSchedule> = {}): StoredSchedule {
  const rules = { catchUp: 'last', overlap: 'skip' } as const
  return {
    name: 'a',
    task: { taskType: 'a', data: {} },
    timing: of,
    nextAt: tickAfter(of, after) ?? null,
    ...rules,
    ...more,
  }
}

/** Steps a schedule at each of these times until nothing is due. @returns the ticks for which it added tasks */
function run(start: StoredSchedule, times: readonly Date[], isBusy: (at: Date) => boolean = () => false): Date[] {
  const added: Date[] = []
  let current = start
  for (const now of times) {
    while (isDue(current, now)) {
      const before = current
      const last = isBusy(now) ? { at: new Date(0), hasEnded: false } : undefined
      const { schedule: next, tick } = step(current, last, now)
      current = next
      if (tick !== undefined) added.push(tick)
      if (current === before) break
    }
  }
  return added
}

void test('masters that look in time add one task for each tick, at whatever moments they look', () => {
  const delays = fc.array(fc.integer({ min: 0, max: 10_000 }), { minLength: 10, maxLength: 10 })
  const rules = fc.record({ catchUp: fc.constantFrom('last', 'none'), overlap: fc.constantFrom('skip', 'queue') })
  fc.assert(
    fc.property(timing, time, delays, rules, (of, after, late, more) => {
      const expected = ticks(of, after, late.length)
      // With shorter pauses, two ticks may pass before anybody looks.
      const isSparse = expected.every(
        (tick, n) => n === 0 || tick.getTime() - (expected[n - 1]?.getTime() ?? 0) > 20_000,
      )
      fc.pre(isSparse)
      const looks = expected.map((tick, n) => new Date(tick.getTime() + (late[n] ?? 0)))
      assert.deepEqual(run(schedule(of, after, more), looks), expected)
    }),
    { numRuns: 400 },
  )
})

void test('only the last missed tick is caught up on, within a day, and only if that is wanted', () => {
  fc.assert(
    fc.property(timing, time, fc.integer({ min: 0, max: 4 * DAY }), fc.boolean(), (of, after, gap, isWanted) => {
      const start = schedule(of, after, { catchUp: isWanted ? 'last' : 'none' })
      fc.pre(start.nextAt !== null)
      const now = new Date(Number(start.nextAt) + gap)
      const last = tickAtOrBefore(of, now)
      const lateness = now.getTime() - (last?.getTime() ?? 0)
      const isMadeUpFor = lateness <= (isWanted ? DAY : MINUTE)
      assert.deepEqual(run(start, [now]), isMadeUpFor ? [last] : [])
      assert.deepEqual(step(start, undefined, now).schedule.nextAt, tickAfter(of, now) ?? null)
    }),
    { numRuns: 400 },
  )
})

const HOURLY = { cron: '0 * * * *', timeZone: 'UTC' }
const at = (minutes: number) => new Date(START + minutes * MINUTE)

void test('while the task of a tick goes on, further ticks are skipped, or one of them waits for its end', () => {
  const everyMinute = Array.from({ length: 400 }, (_, minute) => at(minute))
  const isBusy = (now: Date) => now > at(60) && now < at(200)
  assert.deepEqual(run(schedule(HOURLY, at(0)), everyMinute, isBusy), [at(60), at(240), at(300), at(360)])
  const queue = schedule(HOURLY, at(0), { overlap: 'queue' })
  // The tick at 2:00 waits until 3:20, the one at 3:00 is skipped.
  assert.deepEqual(run(queue, everyMinute, isBusy), [at(60), at(120), at(240), at(300), at(360)])
})

/** What masters do: each looks, and may die between adding a task and noting that. */
interface Look {
  readonly minutes: number
  readonly isLost: boolean
  /** Whether the last task ends after it. */
  readonly ends: boolean
}

void test('whatever is lost between adding a task and noting it, no tick is both skipped and added', () => {
  const look: fc.Arbitrary<Look> = fc.record({
    minutes: fc.integer({ min: 0, max: 100 }),
    isLost: fc.boolean(),
    ends: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(look, { maxLength: 40 }), fc.constantFrom('skip', 'queue'), (looks, overlap) => {
      let current = schedule(HOURLY, at(0), { overlap })
      let minute = 0
      const tasks = new Map<number, { hasEnded: boolean }>()
      const skipped = new Set<number>()
      for (const { ends, isLost, minutes } of looks) {
        minute += minutes
        if (!isDue(current, at(minute))) continue
        const newest = Math.max(...tasks.keys())
        const last =
          tasks.size === 0 ? undefined : { at: new Date(newest), hasEnded: tasks.get(newest)?.hasEnded === true }
        const next = step(current, last, at(minute))
        const tick = next.tick?.getTime()
        // One at a time.
        if (tick !== undefined && !tasks.has(tick)) {
          assert.ok(last === undefined || last.hasEnded)
          tasks.set(tick, { hasEnded: false })
        }
        if (!isLost && next.skipped !== undefined) skipped.add(next.skipped.getTime())
        if (!isLost) current = next.schedule
        const running = tasks.get(Math.max(...tasks.keys()))
        if (ends && running !== undefined) running.hasEnded = true
      }
      for (const tick of tasks.keys()) assert.ok(!skipped.has(tick))
    }),
    { numRuns: 1000 },
  )
})

const declared = (name: string, more: Partial<DeclaredSchedule> = {}): DeclaredSchedule => ({
  name,
  task: { taskType: 'a', data: {} },
  timing: HOURLY,
  catchUp: 'last',
  overlap: 'skip',
  ...more,
})

void test('a first declaration catches up on nothing, and a restart changes no next tick', () => {
  const first = declare([], [declared('a'), declared('b', { timing: { every: HOUR } })], at(30))
  assert.deepEqual(
    first.map(({ nextAt }) => nextAt),
    [at(60), at(90)],
  )
  // A day later, with other data and rules: what was missed is still to be caught up on.
  const changed = { task: { taskType: 'a', data: { n: 2 } }, overlap: 'queue' } as const
  const again = declare(
    first,
    [declared('a', changed), declared('b', { ...changed, timing: { every: HOUR } })],
    at(1500),
  )
  assert.deepEqual(
    again.map(({ nextAt, overlap, task: { data } }) => [nextAt, overlap, data]),
    [
      [at(60), 'queue', { n: 2 }],
      [at(90), 'queue', { n: 2 }],
    ],
  )
  const moved = declare(first, [declared('a', { timing: { ...HOURLY, timeZone: 'Asia/Kolkata' } })], at(1500))
  assert.deepEqual(moved[0]?.nextAt, at(1530))
})

void test('a schedule that an old version leaves out for less than an hour goes on with its next tick', () => {
  const [first] = declare([], [declared('new', { task: { taskType: 'a', data: { large: true } } })], at(30))
  assert.ok(first)
  const without = declare([first], [declared('old')], at(50))
  assert.deepEqual(
    activeOf({ _id: 'app', revision: 0, schedules: without, paused: [] }).map(({ name }) => name),
    ['old'],
  )
  // Both together may be too large for a document.
  assert.deepEqual(without[1]?.task, { taskType: 'a', data: {} })
  const [back] = declare(without, [declared('new')], at(70))
  assert.deepEqual([back?.nextAt, back?.removedAt], [at(60), undefined])
  const [late] = declare(without, [declared('new')], at(110))
  assert.deepEqual([late?.nextAt, late?.removedAt], [at(120), undefined])
  assert.deepEqual(
    declare(without, [], at(110)).map(({ name }) => name),
    ['old'],
  )
})

void test('a pause survives declarations, and its ticks are skipped', () => {
  const set: ScheduleSet = { _id: 'app', revision: 0, schedules: declare([], [declared('a')], at(0)), paused: [] }
  const paused = { ...set, ...pause(set, 'a') }
  assert.equal(pause(paused, 'a'), undefined)
  const later = { ...paused, schedules: declare(declare(paused.schedules, [], at(10)), [declared('a')], at(200)) }
  assert.deepEqual(activeOf(later), [])
  const resumed = { ...later, ...resume(later, 'a', at(210)) }
  assert.deepEqual(
    activeOf(resumed).map(({ nextAt }) => nextAt),
    [at(240)],
  )
  assert.equal(resume(resumed, 'a', at(210)), undefined)
})

interface Act {
  /** Its number. */
  readonly master: number
  readonly kind: 'start' | 'look' | 'die'
  /** Minutes before it. */
  readonly wait: number
}

interface ModelMaster {
  readonly name: string
  readonly starts: number
  readonly startedAt?: Date
}

/** A declaration is valid for this many minutes. */
const VALID = 30

/** Some masters, each with a schedule of its own, that start, look at the stored schedules and die. */
class Model {
  #minute = 0
  #set: ScheduleSet = { _id: 'app', revision: 0, schedules: [], paused: [] }
  readonly #starts = new Map<number, number>()
  readonly #living = new Map<number, ModelMaster>()

  act({ kind, master, wait }: Act): void {
    this.#minute += wait
    if (kind === 'die') this.#living.delete(master)
    if (kind === 'start') this.start(master)
    this.look(master)
  }

  /** Every living master looks, once what the others have declared has expired. */
  settle(): void {
    this.#minute += VALID
    for (const master of [...this.#living.keys(), ...this.#living.keys()]) this.look(master)
  }

  get active(): readonly string[] {
    return activeOf(this.#set).map(({ name }) => name)
  }

  get newest(): string | undefined {
    const [newest] = [...this.#living.values()].sort((a, b) => Number(b.startedAt) - Number(a.startedAt))
    return newest?.name
  }

  private start(master: number): void {
    const starts = (this.#starts.get(master) ?? 0) + 1
    this.#starts.set(master, starts)
    this.#living.set(master, { name: `of ${String(master)}`, starts })
  }

  private look(number: number): void {
    const master = this.#living.get(number)
    if (master === undefined) return
    const [now, expiresAt] = [at(this.#minute), at(this.#minute + VALID)]
    const id = `${master.name}.${String(master.starts)}`
    const { declaredBy, schedules } = this.#set
    if (shouldDeclare(this.#set, id, master.startedAt, now)) {
      const startedAt = master.startedAt ?? startOf(this.#set, now)
      this.#living.set(number, { ...master, startedAt })
      this.#set = {
        ...this.#set,
        schedules: declare(schedules, [declared(master.name)], now),
        declaredBy: { id, startedAt, expiresAt },
      }
    } else if (declaredBy?.id === id) this.#set = { ...this.#set, declaredBy: { ...declaredBy, expiresAt } }
  }
}

void test('in the end the schedules are those of the newest master that lives', () => {
  const act: fc.Arbitrary<Act> = fc.record({
    master: fc.integer({ min: 0, max: 3 }),
    kind: fc.constantFrom('start', 'look', 'die'),
    wait: fc.integer({ min: 0, max: VALID + 10 }),
  })
  fc.assert(
    fc.property(fc.array(act, { maxLength: 40 }), acts => {
      const model = new Model()
      for (const next of acts) model.act(next)
      model.settle()
      if (model.newest !== undefined) assert.deepEqual(model.active, [model.newest])
    }),
    { numRuns: 500 },
  )
})

void test('the _id of a tick stays taken for a day or 1,000 ticks, but for ten leases at least', () => {
  const heldFor = (every: number, lease: number) =>
    tickHeldFor(schedule({ every, anchor: at(0) }, at(0)), new Date(Number(at(0)) + every), lease)
  assert.equal(heldFor(1000, 15_000), 1_000_000)
  assert.equal(heldFor(1000, 150_000), 1_500_000)
  assert.equal(heldFor(DAY, 15_000), DAY)
  assert.equal(tickId('app', 'nightly', at(90)), 'app/nightly@2026-01-01T01:30:00.000Z')
})

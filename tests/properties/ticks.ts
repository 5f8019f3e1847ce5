/** Timings of schedules, in all time zones and over ten years. */
import fc from 'fast-check'
import { type Timing, tickAfter } from '../../common/calendar'

const ZONES = [...Intl.supportedValuesOf('timeZone'), 'UTC']
export const START = Date.UTC(2026, 0, 1)
const TEN_YEARS = 10 * 366 * 86_400_000
export const MINUTE = 60_000
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR

export const time = fc.integer({ min: START, max: START + TEN_YEARS }).map(milliseconds => new Date(milliseconds))
export const zone = fc.constantFrom(...ZONES)

/** A field of a cron expression. */
function field(min: number, max: number): fc.Arbitrary<string> {
  const value = fc.integer({ min, max })
  return fc.oneof(
    { weight: 3, arbitrary: fc.constant('*') },
    { weight: 3, arbitrary: value.map(String) },
    { weight: 1, arbitrary: fc.integer({ min: 2, max: Math.max(2, max - min) }).map(n => `*/${String(n)}`) },
    {
      weight: 1,
      arbitrary: fc.tuple(value, value).map(([a, b]) => `${String(Math.min(a, b))}-${String(Math.max(a, b))}`),
    },
    { weight: 1, arbitrary: fc.array(value, { minLength: 2, maxLength: 3 }).map(values => values.join(',')) },
  )
}

const expression = fc
  .tuple(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6))
  .map(fields => fields.join(' '))
export const cronTiming = fc.record({ cron: expression, timeZone: zone })
const everyTiming = fc.record({ every: fc.integer({ min: 1000, max: 3 * DAY }), anchor: time })
export const timing: fc.Arbitrary<Timing> = fc.oneof(
  { weight: 4, arbitrary: cronTiming },
  { weight: 1, arbitrary: everyTiming },
)

/** The first ticks after a time. */
export function ticks(of: Timing, after: Date, count: number): Date[] {
  const found: Date[] = []
  for (let tick = tickAfter(of, after); tick !== undefined && found.length < count; tick = tickAfter(of, tick)) {
    found.push(tick)
  }
  return found
}

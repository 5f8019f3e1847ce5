import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseCron, tickAfter, tickAtOrBefore } from '../../common/calendar'
import { DAY, cronTiming, ticks, time, timing, zone } from './ticks'

void test('in every time zone, the ticks are those that croner enumerates, each later than the one before', () => {
  fc.assert(
    fc.property(cronTiming, time, (of, after) => {
      const found = ticks(of, after, 12)
      assert.deepEqual(found, parseCron(of.cron, of.timeZone).nextRuns(12, after))
      for (const [index, tick] of found.entries()) assert.ok(tick > (found[index - 1] ?? after))
    }),
    { numRuns: 400 },
  )
})

void test('a tick is the last one until the millisecond before the next', () => {
  fc.assert(
    fc.property(timing, time, (of, after) => {
      const [first, second] = ticks(of, after, 2)
      if (first === undefined || second === undefined) return
      assert.deepEqual(tickAtOrBefore(of, first), first)
      assert.deepEqual(tickAtOrBefore(of, new Date(second.getTime() - 1)), first)
      assert.deepEqual(tickAfter(of, new Date(first.getTime() - 1)), first)
    }),
    { numRuns: 400 },
  )
})

void test('in every time zone, a daily schedule has one tick on each day, at its time if that exists', () => {
  const local = (timeZone: string, tick: Date) =>
    new Intl.DateTimeFormat('sv', { timeZone, dateStyle: 'short', timeStyle: 'short' }).format(tick)
  const dayAfter = (day: string) => new Date(Date.parse(`${day}T00:00Z`) + DAY).toISOString().slice(0, 10)
  fc.assert(
    fc.property(
      zone,
      time,
      fc.integer({ min: 0, max: 23 }),
      fc.integer({ min: 0, max: 59 }),
      (timeZone, after, h, m) => {
        const wanted = `${String(h).padStart(2, '0')}:${String(m).padStart(2, '0')}`
        const found = ticks({ cron: `${String(m)} ${String(h)} * * *`, timeZone }, after, 30)
        const [days, times] = [0, 1].map(part => found.map(tick => local(timeZone, tick).split(' ')[part] ?? ''))
        assert.deepEqual(days?.slice(1), days?.slice(0, -1).map(dayAfter))
        const moved = times?.filter(at => at !== wanted) ?? []
        // The clocks leave out a time once a year, or twice in Morocco.
        assert.ok(moved.length <= 1 && moved.every(at => at > wanted), moved.join())
      },
    ),
    { numRuns: 400 },
  )
})

void test('a time that does not exist is replaced on the same day, and one that comes twice counts once', () => {
  const daily = { cron: '30 2 * * *', timeZone: 'Europe/Paris' }
  assert.deepEqual(ticks(daily, new Date('2027-03-27T12:00Z'), 2), [
    new Date('2027-03-28T01:00Z'),
    new Date('2027-03-29T00:30Z'),
  ])
  assert.deepEqual(ticks(daily, new Date('2026-10-24T12:00Z'), 2), [
    new Date('2026-10-25T00:30Z'),
    new Date('2026-10-26T01:30Z'),
  ])
  // In Cairo, the day begins at one o'clock then.
  const midnight = { cron: '0 0 * * *', timeZone: 'Africa/Cairo' }
  assert.deepEqual(ticks(midnight, new Date('2027-04-29T12:00Z'), 2), [
    new Date('2027-04-29T22:00Z'),
    new Date('2027-04-30T21:00Z'),
  ])
})

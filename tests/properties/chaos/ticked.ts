/** The checker of the crash suite: schedules. */
import { type Story, DRIVER, caught, passes } from './story'

/** A tick of the schedule `tick` each second, from 1000 to `until`, apart from those in the gap. */
function ticks(story: Story, until: number, gap: { readonly from: number; readonly until: number }): void {
  for (let at = 1000; at <= until; at += 1000) {
    if (at <= gap.from || at >= gap.until) tick(story, at)
  }
  story.say(until + 500, DRIVER, { what: 'drain', milliseconds: 100, isComplete: true })
}

function tick(story: Story, at: number): void {
  story.say(at, DRIVER, { what: 'tick', id: `chaos/tick@${String(at)}`, schedule: 'tick' })
}

const NO_GAP = { from: 0, until: 0 }
const EXPECTED = ['fresh,tick']

passes('a tick each second', story => {
  ticks(story, 40_000, NO_GAP)
  story.say(41_000, DRIVER, { what: 'schedules', own: 'fresh,tick', other: 'kept', expected: EXPECTED })
})
passes('no tick while the database is away', story => {
  ticks(story, 60_000, { from: 5000, until: 45_000 })
  story.attack('kill-mongod', [], 6000, 30_000)
})
caught('ticked', 'no tick for a long time', story => {
  ticks(story, 60_000, { from: 5000, until: 45_000 })
})
caught('ticked', 'no tick any more', story => {
  ticks(story, 60_000, { from: 5000, until: 70_000 })
})
caught('ticked', 'a tick that has two tasks', story => {
  ticks(story, 10_000, NO_GAP)
  tick(story, 5000)
})
caught('ticked', 'schedules of a master that did not start last', story => {
  ticks(story, 10_000, NO_GAP)
  story.say(11_000, DRIVER, { what: 'schedules', own: 'tick', other: 'kept', expected: EXPECTED })
})
caught('ticked', 'another app has lost its schedules', story => {
  ticks(story, 10_000, NO_GAP)
  story.say(11_000, DRIVER, { what: 'schedules', own: 'fresh,tick', other: '', expected: EXPECTED })
})

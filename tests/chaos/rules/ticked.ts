import { type History, type Rule, type Violation, only } from '../history'
import type { EntryOf } from '../log'
import { outages, pausedWithin } from './pauses'

/**
 * How long no tick may be added, although one is due each second: while masters start again, and while the task of the
 * tick before waits for a worker that is alive.
 */
const SILENT_MAX_MS = 30_000

/** No tick has two tasks, ticks go on, the schedules are those of the newest master, and another app keeps its own. */
export const ticked: Rule = history => {
  const ticks = only(history.entries, 'tick')
  return [...addedTwice(ticks), ...silences(history, ticks), ...wrongSchedules(history)]
}

function addedTwice(ticks: readonly EntryOf<'tick'>[]): Violation[] {
  const first = new Map(ticks.toReversed().map(tick => [tick.id, tick]))
  return ticks
    .filter(tick => first.get(tick.id) !== tick)
    .map(tick => ({ rule: 'ticked', text: `${tick.id} was added twice`, evidence: [first.get(tick.id), tick] }))
}

function silences(history: History, ticks: readonly EntryOf<'tick'>[]): Violation[] {
  const drained = only(history.entries, 'drain')[0]
  const times = ticks.filter(({ schedule }) => schedule === 'tick').map(({ at }) => at)
  if (times.length === 0 || drained === undefined) return []
  const moments = [...times.filter(at => at < drained.at), drained.at]
  return moments.flatMap((until, index) => {
    const from = moments[index - 1] ?? until
    const silent = until - from - pausedWithin(outages(history), from, until)
    const text = `no tick was added for ${silent.toFixed(0)} ms`
    return silent <= SILENT_MAX_MS * history.slowness ? [] : [{ rule: 'ticked', text, evidence: [{ from, until }] }]
  })
}

function wrongSchedules({ entries }: History): Violation[] {
  return only(entries, 'schedules')
    .filter(({ expected, other, own }) => !expected.includes(own) || other !== 'kept')
    .map(entry => ({
      rule: 'ticked',
      text: `the schedules are ${entry.own}; another app has ${entry.other}`,
      evidence: [entry],
    }))
}

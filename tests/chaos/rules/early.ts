import { type Rule, only } from '../history'
import type { EntryOf } from '../log'

/** The log's clocks are read one after the other, and dates are whole milliseconds. */
const TOLERANCE_MS = 5

/** No job starts before its due date, by the clock that is right. */
export const early: Rule = ({ entries, tasks }) => {
  const clocks = only(entries, 'clock')
  return tasks.flatMap(({ plan, jobs }) => {
    const { due } = plan
    if (due === null) return []
    return jobs.flatMap(job => {
      const missing = due - wallClock(clocks, job.startedAt)
      const text = `${plan.kind} ${plan.id} started ${missing.toFixed(1)} ms before its due date`
      return missing > TOLERANCE_MS ? [{ rule: 'early', text, evidence: [plan, job] }] : []
    })
  })
}

/** By the last reading before: the two clocks drift apart over a long run. */
function wallClock(clocks: readonly EntryOf<'clock'>[], at: number): number {
  const reading = clocks.findLast(clock => clock.at <= at) ?? clocks[0]
  return reading === undefined ? Infinity : reading.wall + (at - reading.at)
}

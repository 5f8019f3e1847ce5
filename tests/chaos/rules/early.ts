import { Clock } from '../clock'
import { type Rule, only } from '../history'

/** The log's clocks are read one after another, and dates are whole milliseconds. */
const TOLERANCE_MS = 5

/** No job starts before its due date, by the correct clock. */
export const early: Rule = ({ entries, tasks }) => {
  const clock = new Clock(only(entries, 'clock'))
  return tasks.flatMap(({ plan, jobs }) => {
    const { due } = plan
    if (due === null) return []
    return jobs.flatMap(job => {
      const missing = due - clock.wall(job.startedAt)
      const text = `${plan.kind} ${plan.id} started ${missing.toFixed(1)} ms before its due date`
      return missing > TOLERANCE_MS ? [{ rule: 'early', text, evidence: [plan, job] }] : []
    })
  })
}

import { type Rule, only } from '../history'

/** A job that reached its worker when its lease may have ended is not started. */
export const late: Rule = ({ entries, jobs }) => {
  const tooLate = only(entries, 'received').filter(({ startBefore, at }) => startBefore !== null && at >= startBefore)
  const byToken = new Map(tooLate.map(entry => [entry.token, entry]))
  return jobs.flatMap(job => {
    const received = byToken.get(job.token)
    if (received === undefined) return []
    const text = `${job.kind} ${job.id} was started although it came too late`
    return [{ rule: 'late', text, evidence: [received, job] }]
  })
}

import { type Rule, only } from '../history'

/**
 * A job that reached its worker when its lease may have expired is not started. A recalled job is sent again, and may
 * then arrive in time.
 */
export const late: Rule = ({ entries, jobs }) => {
  const receipts = only(entries, 'received')
  return jobs.flatMap(job => {
    const last = receipts.filter(({ token, at }) => token === job.token && at <= job.startedAt).at(-1)
    if (last === undefined || last.startBefore === null || last.at < last.startBefore) return []
    const text = `${job.kind} ${job.id} was started although it came too late`
    return [{ rule: 'late', text, evidence: [last, job] }]
  })
}

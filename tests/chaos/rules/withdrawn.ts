import { type Rule, only } from '../history'

/** A task is not claimed any more once its cancellation, or its removal, was acknowledged. */
export const withdrawn: Rule = ({ entries, tasks }) => {
  const acknowledged = new Map(
    [...only(entries, 'cancelled'), ...only(entries, 'removed')].map(entry => [entry.incarnation, entry]),
  )
  return tasks.flatMap(({ plan, addedAt = Infinity, jobs }) => {
    const entry = acknowledged.get(plan.incarnation)
    if (entry === undefined || entry.at < addedAt) return []
    return jobs
      .filter(({ claimedAt = 0 }) => claimedAt > entry.at)
      .map(job => ({
        rule: 'withdrawn',
        text: `${plan.kind} ${plan.id} ran after it was ${entry.what}`,
        evidence: [entry, job],
      }))
  })
}

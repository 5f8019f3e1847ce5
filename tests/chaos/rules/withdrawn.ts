import type { Rule } from '../history'

/** The database's clock has whole milliseconds. */
const TOLERANCE_MS = 5

/** A task is not claimed any more once its removal was acknowledged. */
export const withdrawn: Rule = ({ tasks }) =>
  tasks.flatMap(({ plan, addedAt = Infinity, acts, jobs }) =>
    acts
      .filter(({ method, found, until }) => method === 'remove' && found === true && until >= addedAt)
      .flatMap(({ until }) => jobs.filter(({ claimedAt = 0 }) => claimedAt > until + TOLERANCE_MS))
      .map(job => ({
        rule: 'withdrawn',
        text: `${plan.kind} ${plan.id} was claimed after it was removed`,
        evidence: [plan, ...acts, job],
      })),
  )

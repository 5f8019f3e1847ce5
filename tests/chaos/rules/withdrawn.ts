import type { ActCall, Rule, TaskHistory } from '../history'

/** The database's clock has whole milliseconds. */
const TOLERANCE_MS = 5

/** A task is not claimed any more once its cancellation, or its removal, was acknowledged, unless it is retried. */
export const withdrawn: Rule = ({ tasks }) =>
  tasks.flatMap(task => {
    const { plan, addedAt = Infinity, acts, jobs } = task
    return acts
      .filter(({ method, found, until }) => method !== 'retry' && found === true && until >= addedAt)
      .flatMap(act =>
        jobs.filter(({ claimedAt = 0 }) => claimedAt > act.until + TOLERANCE_MS && claimedAt < retriedAfter(task, act)),
      )
      .map(job => ({
        rule: 'withdrawn',
        text: `${plan.kind} ${plan.id} was claimed after it was cancelled or removed`,
        evidence: [plan, ...acts, job],
      }))
  })

/** When a task may have been retried after this call; Infinity if never. */
export function retriedAfter({ acts }: TaskHistory, { method, from, until }: ActCall): number {
  const retries = acts.filter(other => other.method === 'retry' && other.found !== false && other.until >= from)
  const first = Math.min(...retries.map(retry => retry.from))
  return method === 'remove' ? Infinity : first < until ? from : first
}

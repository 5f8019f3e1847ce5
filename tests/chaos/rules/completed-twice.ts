import type { Rule } from '../history'

/** A task ends once, and once more for each retry. It has at most one `done` event on all masters together. */
export const completedTwice: Rule = ({ tasks }) =>
  tasks.flatMap(({ plan, acts, events, jobs }) => {
    const ends = events.filter(({ type }) => type === 'done' || type === 'error' || type === 'cancelled')
    const retries = acts.filter(({ method, found }) => method === 'retry' && found !== false).length
    const isDoneOnce = ends.filter(({ type }) => type === 'done').length <= 1
    if (ends.length <= 1 + retries && isDoneOnce) return []
    const types = ends.map(({ type }) => type).join(', ')
    const text = `${plan.kind} ${plan.id} ended ${String(ends.length)} times: ${types}`
    return [{ rule: 'completed twice', text, evidence: [...acts, ...ends, ...jobs] }]
  })

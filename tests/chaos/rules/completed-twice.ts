import type { Rule } from '../history'

/** A task ends once: with one `done` over all masters, or as failed, or cancelled. */
export const completedTwice: Rule = ({ tasks }) =>
  tasks.flatMap(({ plan, events, jobs }) => {
    const ends = events.filter(({ type }) => type === 'done' || type === 'error' || type === 'cancelled')
    if (ends.length <= 1) return []
    const text = `${plan.kind} ${plan.id} ended ${String(ends.length)} times: ${ends.map(({ type }) => type).join(', ')}`
    return [{ rule: 'completed twice', text, evidence: [...ends, ...jobs] }]
  })

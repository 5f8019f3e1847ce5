import type { History, Job, Rule } from '../history'

/** A master never runs two jobs of the limited type at once. Nothing excuses it: it counts until a job has left. */
export const limited: Rule = history =>
  pairs(history).map(([earlier, later]) => ({
    rule: 'limited',
    text:
      `master ${String(later.master?.pid)} started ${later.id} ` +
      `${(earlier.lastAt - later.startedAt).toFixed(0)} ms before the last sign of life of ${earlier.id}`,
    evidence: [earlier, later],
  }))

/** The pairs that overlap on one master. */
function pairs({ jobs }: History): [Job, Job][] {
  const ofType = jobs.filter(({ kind, master }) => kind === 'limited' && master !== undefined)
  return ofType.flatMap((earlier, index) =>
    ofType
      .slice(index + 1)
      .filter(({ master, startedAt }) => master === earlier.master && startedAt < earlier.lastAt)
      .map((later): [Job, Job] => [earlier, later]),
  )
}

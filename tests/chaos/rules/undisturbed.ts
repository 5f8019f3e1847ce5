import type { Plan } from '../log'
import type { Rule, Settings, TaskHistory } from '../history'

/** Where nothing is attacked, each task runs exactly as often as it is meant to, and no task stalls. */
export const undisturbed: Rule = ({ settings, tasks }) => {
  if (settings.hasNemesis) return []
  return tasks.filter(isToEnd).flatMap(({ plan, jobs, events }) => {
    const expected = runsOf(plan, settings)
    const evidence = [plan, ...jobs, ...events]
    const stalls = events.filter(({ type }) => type === 'stalled')
    const text = `${plan.kind} ${plan.id} ran ${String(jobs.length)} times, expected ${String(expected)}`
    return [
      ...(jobs.length === expected ? [] : [{ rule: 'undisturbed', text, evidence }]),
      ...(stalls.length === 0 ? [] : [{ rule: 'undisturbed', text: `${plan.kind} ${plan.id} stalled`, evidence }]),
    ]
  })
}

function isToEnd({ addedAt, isWithdrawn }: TaskHistory): boolean {
  return addedAt !== undefined && !isWithdrawn
}

function runsOf({ kind, retries, failures }: Plan, { maxCrashes }: Settings): number {
  switch (kind) {
    case 'dying':
      return maxCrashes
    case 'dyingOnce':
      return 2
    case 'failing':
      return 1 + retries
    case 'retrying':
      return 1 + failures
    case 'short':
    case 'long':
    case 'blocking':
    case 'adding':
      return 1
  }
}

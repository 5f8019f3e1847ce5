import type { Plan } from '../log'
import type { Job, Rule, Settings, TaskHistory } from '../history'

/** Without attacks, each task runs exactly as often as it is meant to, and no task stalls. */
export const undisturbed: Rule = ({ settings, tasks, jobs: all }) => {
  if (settings.hasNemesis) return []
  return tasks.filter(isToEnd).flatMap(({ plan, jobs, events }) => {
    const expected = runsOf(plan, settings)
    // A job that was cut short shared its worker with a job that killed it.
    const counted = jobs.filter(job => !wasCutShort(job, all)).length
    const isExpected =
      jobs.length === expected || (counted < expected && jobs.length > expected) || counted === expected
    const evidence = [plan, ...jobs, ...events]
    const stalls = events.filter(({ type }) => type === 'stalled')
    const text = `${plan.kind} ${plan.id} ran ${String(jobs.length)} times, expected ${String(expected)}`
    return [
      ...(isExpected ? [] : [{ rule: 'undisturbed', text, evidence }]),
      ...(stalls.length === 0 ? [] : [{ rule: 'undisturbed', text: `${plan.kind} ${plan.id} stalled`, evidence }]),
    ]
  })
}

/** Whether the task was added, and no call affected it, so that it should finish by itself. */
function isToEnd({ addedAt, isWithdrawn, acts }: TaskHistory): boolean {
  return addedAt !== undefined && !isWithdrawn && acts.every(({ found }) => found === false)
}

/** Whether this job was cut short beside another one. A job without an end ran until its worker was gone. */
function wasCutShort(job: Job, jobs: readonly Job[]): boolean {
  if (job.end !== undefined || job.worker.goneAt === Infinity) return false
  return jobs.some(other => {
    const isBeside = (other.end?.at ?? Infinity) >= job.startedAt
    return other !== job && other.worker === job.worker && isBeside
  })
}

function runsOf({ kind, retries, failures }: Plan, { maxCrashes }: Settings): number {
  switch (kind) {
    case 'dying':
      return maxCrashes
    case 'dyingOnce':
      return 2
    case 'failing':
    case 'overrunning':
    case 'ignoring':
      return 1 + retries
    case 'retrying':
      return 1 + Math.min(failures, retries)
    case 'short':
    case 'long':
    case 'blocking':
    case 'adding':
    case 'bulky':
    case 'acting':
    case 'limited':
    case 'pausable':
      return 1
  }
}

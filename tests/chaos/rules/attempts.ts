import type { History, Job, Rule, Stored, TaskHistory } from '../history'
import { endingOf, outages, overlap, stopsOf } from './pauses'
import { claimOf, inOrder } from './unexplained'
import { workerGoneFrom } from './worker-deaths'

/**
 * No two runs of a task have the same attempt number. The number is how many starts count so far. A task is retried no
 * more often than it may be.
 */
export const attempts: Rule = history =>
  history.tasks.flatMap(task => {
    const { plan, jobs, events, stored } = task
    const evidence = [plan, ...jobs, ...events, ...stored]
    return [repeatedNumber(task), wrongNumber(history, task), tooManyRetries(task)].flatMap(fault =>
      fault === undefined ? [] : [{ rule: 'attempts', text: `${plan.kind} ${plan.id} ${fault}`, evidence }],
    )
  })

function repeatedNumber({ jobs }: TaskHistory): string | undefined {
  const numbers = jobs.map(({ attempt }) => attempt)
  const repeated = numbers.find((number, index) => numbers.indexOf(number) !== index)
  return repeated === undefined ? undefined : `had attempt ${String(repeated)} twice`
}

function tooManyRetries({ plan, acts, events }: TaskHistory): string | undefined {
  const retries = events.filter(({ type }) => type === 'retry').length
  const lives = 1 + acts.filter(({ method, found }) => method === 'retry' && found !== false).length
  return retries <= plan.retries * lives ? undefined : `was retried ${String(retries)} times, more often than allowed`
}

/** A claim whose job did not start counts only if it was disturbed; one that was properly released does not. */
function wrongNumber(history: History, task: TaskHistory): string | undefined {
  const { stored } = task
  if (stored.length === 0) return undefined
  const started = new Set(task.jobs.map(({ token }) => token))
  const unheard = claimsOf(stored).filter(claim => !started.has(claim.token) && wasDisturbed(history, claim))
  const wrong = inOrder(task.jobs).find((job, index) => {
    const highest = index + 1 + unheard.filter(({ from }) => from < claimOf(job)).length
    return job.attempt <= index || job.attempt > highest
  })
  return wrong && `had attempt ${String(wrong.attempt)}, which does not match the number of its starts`
}

/** A claim from its first to its last moment in the database. */
interface Held extends Stored {
  readonly token: string
}

function claimsOf(stored: readonly Stored[]): Held[] {
  const claims = new Map<string, Held>()
  for (const change of stored) {
    if (change.token === null) continue
    const first = claims.get(change.token) ?? { ...change, token: change.token }
    claims.set(change.token, { ...first, until: change.until })
  }
  return [...claims.values()]
}

/**
 * Whether the claim's master, or one of that master's workers, was stopped or ended during the claim, the database was
 * down, or a job blocked its worker.
 */
function wasDisturbed(history: History, claim: Held): boolean {
  const holders = history.lives.all.filter(life => claim.owner === null || claim.owner === life.pid)
  const lives = history.lives.all.filter(life => holders.some(({ pid }) => life.pid === pid || life.parent === pid))
  const pauses = [...outages(history), ...lives.flatMap(life => stopsOf(history, life)), ...blocks(history.jobs)]
  return (
    pauses.some(pause => overlap(pause, claim) > 0) ||
    lives.some(life => {
      const end = Math.min(endingOf(history, life) ?? Infinity, workerGoneFrom(history, life) ?? Infinity)
      // A claim may be made after the last sign of life of the process that it is for.
      const gone = life.goneAt === Infinity ? end : Math.max(end, life.goneAt)
      return claim.from <= gone && end <= claim.until
    })
  )
}

/** While a job blocks its worker, the worker does not hear its master, which does not wait for it. */
function blocks(jobs: readonly Job[]): { readonly from: number; readonly until: number }[] {
  return jobs
    .filter(({ kind }) => kind === 'blocking')
    .map(({ startedAt, lastAt }) => ({ from: startedAt, until: lastAt }))
}

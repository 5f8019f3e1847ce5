import { type History, type Rule, type TaskHistory, only } from '../history'
import type { EntryOf } from '../log'

/**
 * Whoever waits for a task is told how it ended, unless its own process dies: with the result of a job that was done,
 * the same for all who wait, for the event and in the queue if it is kept. Who waits for a task of the same `_id` joins
 * it.
 */
export const awaited: Rule = history =>
  history.tasks.flatMap(task => {
    const { plan, jobs, events } = task
    const learned = only(history.entries, 'learned').filter(({ incarnation }) => incarnation === plan.incarnation)
    const faults = [
      ...unsettled(history, task, learned),
      ...learned.flatMap(each => wrongly(task, each)),
      ...differing(learned),
      ...kept(task, learned),
    ]
    return faults.map(fault => ({
      rule: 'awaited',
      text: `${plan.kind} ${plan.id} ${fault}`,
      evidence: [plan, ...jobs, ...events, ...learned],
    }))
  })

type Learned = EntryOf<'learned'>

/** A waiter whose process has gone is told nothing. */
function unsettled(history: History, { plan }: TaskHistory, learned: readonly Learned[]): string[] {
  return only(history.entries, 'awaiting').flatMap(({ at, incarnation, pid, wait }) => {
    if (incarnation !== plan.incarnation || learned.some(each => each.pid === pid && each.wait === wait)) return []
    const isGone =
      (history.lives.at(pid, at)?.goneAt ?? 0) < Infinity ||
      only(history.entries, 'exit').some(({ target }) => target === pid)
    return isGone ? [] : [`left waiter ${String(wait)} of process ${String(pid)} without an answer`]
  })
}

function wrongly({ events, jobs }: TaskHistory, { error, token }: Learned): string[] {
  if (error !== null) return isPossible(events, error.name) ? [] : [`told a waiter ${error.name}: ${error.message}`]
  const job = jobs.find(other => other.token === token)
  if (job?.end?.how !== 'done') return [`told a waiter the result of ${String(token)}, which no job that was done has`]
  const done = events.find(({ type }) => type === 'done')
  return done === undefined || done.token === token ? [] : ['told a waiter another result than the event']
}

/** The database may be away when a task is added; a task may kill its workers. */
function isPossible(events: readonly EntryOf<'event'>[], name: string): boolean {
  return name.startsWith('Mongo') || events.some(({ error, type }) => type === 'error' && error?.name === name)
}

function kept({ events, jobs, stored }: TaskHistory, learned: readonly Learned[]): string[] {
  const told = [...learned, ...events.filter(({ type }) => type === 'done')].flatMap(({ token }) => token ?? [])
  const results = new Set(stored.flatMap(({ result }) => result ?? []))
  return [...results].flatMap(result => {
    if (jobs.find(({ token }) => token === result)?.end?.how !== 'done') {
      return [`kept the result of ${result}, which no job that was done has`]
    }
    return told.some(token => token !== result) ? ['kept another result than it told'] : []
  })
}

function differing(learned: readonly Learned[]): string[] {
  const tokens = new Set(learned.flatMap(({ token }) => token ?? []))
  return tokens.size > 1 ? ['told its waiters different results'] : []
}

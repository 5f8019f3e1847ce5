import type { History, Job, Rule } from '../history'
import { type Pause, deathOf, outages, stopsOf } from './pauses'

const RENEWALS_PER_LEASE = 3

/** How long a job whose lease has ended may show signs of life after its master, or the database, is back. */
const LAST_SIGNS_MS = 5000

/**
 * Jobs of one task never run side by side, but where the master of the earlier one could not renew its lease: it was stopped, or
 * the database was away, or it was killed while the worker was stopped. (A worker that is stopped explains nothing else: its master
 * renews.)
 */
export const overlapping: Rule = history =>
  history.tasks.flatMap(({ plan, jobs }) =>
    pairs(jobs)
      .filter(([earlier, later]) => earlier.lastAt > later.startedAt && !isExplained(history, earlier, later))
      .map(([earlier, later]) => ({
        rule: 'overlapping',
        text:
          `${plan.kind} ${plan.id}: job ${later.token} started ` +
          `${(earlier.lastAt - later.startedAt).toFixed(0)} ms before the last sign of life of ${earlier.token}`,
        evidence: [earlier, later],
      })),
  )

function pairs(jobs: readonly Job[]): [Job, Job][] {
  return jobs.flatMap((earlier, index) => jobs.slice(index + 1).map((later): [Job, Job] => [earlier, later]))
}

function isExplained(history: History, earlier: Job, later: Job): boolean {
  const { lease } = history.settings
  const master = earlier.master === undefined ? [] : stopsOf(history, earlier.master)
  const orphan = isOrphanAt(history, earlier, later.startedAt) ? stopsOf(history, earlier.worker) : []
  // A claim may have been made long before its job started.
  const claimedAt = earlier.claimedAt ?? earlier.startedAt
  const longEnough = ((RENEWALS_PER_LEASE - 1) / RENEWALS_PER_LEASE) * lease
  return withoutRenewal([...master, ...orphan, ...outages(history)], lease).some(({ from, until }) => {
    const within = Math.min(until, later.startedAt) - Math.max(from, claimedAt)
    return within >= longEnough && earlier.lastAt <= until + LAST_SIGNS_MS
  })
}

function isOrphanAt(history: History, { master }: Job, at: number): boolean {
  const death = master && deathOf(history, master)
  return death !== undefined && death < at
}

/** Pauses so near to each other that no renewal need lie between them count as one. */
function withoutRenewal(pauses: readonly Pause[], lease: number): Pause[] {
  const joined: Pause[] = []
  for (const pause of [...pauses].sort((a, b) => a.from - b.from)) {
    const last = joined.at(-1)
    if (last === undefined || pause.from - last.until > lease / RENEWALS_PER_LEASE) joined.push(pause)
    else joined[joined.length - 1] = { from: last.from, until: Math.max(last.until, pause.until) }
  }
  return joined
}

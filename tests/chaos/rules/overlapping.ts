import type { History, Job, Rule } from '../history'
import { RENEWALS_PER_LEASE, deathOf, leaseMayEndIn, outages, stopsOf, withoutRenewal } from './pauses'

/** How long a job whose lease has expired may show signs of life after its master, or the database, is back. */
const LAST_SIGNS_MS = 5000

/** How long a master may need to find that the database is back, before it renews. */
const RECONNECTED_WITHIN_MS = 1500

/**
 * Jobs of one task overlap only if the master of the earlier one could not renew its lease: it was stopped, the
 * database was down, or the master was killed while the worker was stopped. A stopped worker alone explains nothing,
 * since its master renews.
 */
export const overlapping: Rule = history =>
  history.tasks.flatMap(({ plan, jobs, stored }) =>
    pairs(jobs)
      .filter(([earlier, later]) => earlier.lastAt > later.startedAt && !isExplained(history, earlier, later))
      .map(([earlier, later]) => ({
        rule: 'overlapping',
        text:
          `${plan.kind} ${plan.id}: job ${later.token} started ` +
          `${(earlier.lastAt - later.startedAt).toFixed(0)} ms before the last sign of life of ${earlier.token}`,
        evidence: [earlier, later, ...stored],
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
  const [claimedAt, takenAt] = [earlier, later].map(job => job.claimedAt ?? job.startedAt) as [number, number]
  return withoutRenewal([...master, ...orphan, ...outages(history)], lease).some(({ from, until }) => {
    const within = Math.min(until, takenAt) - Math.max(from, claimedAt)
    // After that, the first master has renewed its lease, or found that it has lost it.
    const isRightAfter = takenAt <= until + lease / RENEWALS_PER_LEASE + RECONNECTED_WITHIN_MS * history.slowness
    return (
      within >= leaseMayEndIn(history) && isRightAfter && earlier.lastAt <= until + LAST_SIGNS_MS * history.slowness
    )
  })
}

function isOrphanAt(history: History, { master }: Job, at: number): boolean {
  const death = master && deathOf(history, master)
  return death !== undefined && death < at
}

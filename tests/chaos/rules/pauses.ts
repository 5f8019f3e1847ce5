/** When something could not go on, and when processes ended. */
import type { History } from '../history'
import type { Life } from '../lives'

export interface Pause {
  readonly from: number
  readonly until: number
}

/** How often a master renews a lease within its duration. */
export const RENEWALS_PER_LEASE = 3

/**
 * How long an outcome may take from its worker, over the pipe and the database, to the listener, while nothing is
 * stopped or down. A failed write is repeated after up to 5 seconds.
 */
export const ON_ITS_WAY_MS = 10_000

/** When the database was down. */
export function outages({ attacks }: History): Pause[] {
  return attacks.filter(({ kind }) => kind === 'kill-mongod')
}

/** When this process was stopped. */
export function stopsOf({ attacks }: History, life: Life): Pause[] {
  return attacks.filter(
    ({ kind, targets, from }) =>
      kind.startsWith('stop-') && targets.includes(life.pid) && life.from <= from && from < life.until,
  )
}

/** How many milliseconds of these pauses lie between `from` and `until`. Overlaps count twice. */
export function pausedWithin(pauses: readonly Pause[], from: number, until: number): number {
  return pauses.reduce((sum, pause) => sum + overlap(pause, { from, until }), 0)
}

export function overlap(a: Pause, b: Pause): number {
  return Math.max(0, Math.min(a.until, b.until) - Math.max(a.from, b.from))
}

/** When this process was killed or exited; undefined if neither. */
export function deathOf(history: History, life: Life): number | undefined {
  return endOf(history, life, kind => kind.startsWith('kill-') || kind === 'skew')
}

/** When it was killed, asked to stop, or exited; undefined if none. From then on a master starts no job. */
export function endingOf(history: History, life: Life): number | undefined {
  return endOf(history, life, kind => kind.startsWith('kill-') || kind === 'skew' || kind === 'clean-stop')
}

function endOf({ exits, attacks }: History, life: Life, isEnd: (kind: string) => boolean): number | undefined {
  const isOf = (pid: number, at: number) => pid === life.pid && life.from <= at && at < life.until
  const attack = attacks.find(({ kind, targets, from }) => isEnd(kind) && targets.some(target => isOf(target, from)))
  if (attack !== undefined) return attack.from
  return exits.find(({ target, at }) => isOf(target, at))?.at
}

/** Pauses so close to each other that there may be no renewal between them count as one. */
export function withoutRenewal(pauses: readonly Pause[], lease: number): Pause[] {
  return joined(pauses, lease / RENEWALS_PER_LEASE)
}

/** @param gap milliseconds: pauses that are no farther apart become one */
export function joined(pauses: readonly Pause[], gap: number): Pause[] {
  const result: Pause[] = []
  for (const pause of [...pauses].sort((a, b) => a.from - b.from)) {
    const last = result.at(-1)
    if (last === undefined || pause.from - last.until > gap) result.push(pause)
    else result[result.length - 1] = { from: last.from, until: Math.max(last.until, pause.until) }
  }
  return result
}

/** What is left of these pauses without the others. */
export function without(pauses: readonly Pause[], others: readonly Pause[]): Pause[] {
  return joined(others, 0).reduce<Pause[]>(
    (left, { from, until }) =>
      left.flatMap(pause =>
        overlap(pause, { from, until }) === 0
          ? [pause]
          : [
              { from: pause.from, until: from },
              { from: until, until: pause.until },
            ].filter(part => part.until > part.from),
      ),
    [...pauses],
  )
}

/** How long a due renewal may take until it counts: timers fire late, and the write may wait for others. */
const RENEWED_WITHIN_MS = 200

/** The shortest pause in which a lease may expire: a renewal may have been due right before it, and not yet made. */
export function leaseMayEndIn({ settings: { lease }, slowness }: History): number {
  return ((RENEWALS_PER_LEASE - 1) / RENEWALS_PER_LEASE) * lease - RENEWED_WITHIN_MS * slowness
}

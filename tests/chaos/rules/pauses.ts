import type { History, Life } from '../history'

export interface Pause {
  readonly from: number
  readonly until: number
}

/** When the database was away. */
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

/** Milliseconds of these pauses that lie within, those that overlap counted twice. */
export function pausedWithin(pauses: readonly Pause[], from: number, until: number): number {
  return pauses.reduce((sum, pause) => sum + Math.max(0, Math.min(pause.until, until) - Math.max(pause.from, from)), 0)
}

/** When this process was killed, or exited, if it was. */
export function deathOf({ exits, attacks }: History, life: Life): number | undefined {
  const isOf = (pid: number, at: number) => pid === life.pid && life.from <= at && at < life.until
  const kill = attacks.find(
    ({ kind, targets, from }) =>
      (kind.startsWith('kill-') || kind === 'skew') && targets.some(target => isOf(target, from)),
  )
  if (kill !== undefined) return kill.from
  return exits.find(({ target, at }) => isOf(target, at))?.at
}

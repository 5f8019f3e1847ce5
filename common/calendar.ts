/** When a schedule is due: its ticks. */
import { Cron } from 'croner'

/** By a cron expression in a time zone, or at `anchor` + n × `every` milliseconds, n from 1. */
export type Timing =
  { readonly cron: string; readonly timeZone: string } | { readonly every: number; readonly anchor: Date }

/** The first tick after `time`; undefined if there are no more. */
export function tickAfter(timing: Timing, time: Date): Date | undefined {
  if ('every' in timing) return nthTick(timing, tickCountAt(timing, time) + 1)
  return parseCron(timing.cron, timing.timeZone).nextRun(time) ?? undefined
}

/** The last tick at `time` or before; undefined if there is none. */
export function tickAtOrBefore(timing: Timing, time: Date): Date | undefined {
  if ('every' in timing) {
    const count = tickCountAt(timing, time)
    return count < 1 ? undefined : nthTick(timing, count)
  }
  // `previousRuns` excludes its argument, so a tick at `time` itself needs a later one. Ticks are whole seconds.
  const [tick] = parseCron(timing.cron, timing.timeZone).previousRuns(1, new Date(time.getTime() + 1))
  return tick
}

/** @throws if the expression or the time zone is wrong */
export function parseCron(cron: string, timeZone: string): Cron {
  return new Cron(cron, { mode: '5-or-6-parts', paused: true, timezone: timeZone })
}

function tickCountAt({ anchor, every }: Extract<Timing, { every: number }>, time: Date): number {
  return Math.max(0, Math.floor((time.getTime() - anchor.getTime()) / every))
}

function nthTick({ anchor, every }: Extract<Timing, { every: number }>, n: number): Date {
  return new Date(anchor.getTime() + n * every)
}

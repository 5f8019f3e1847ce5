import { CORRUPT } from './corrupt-flag'
import { WIDTHS } from './output'
import type { Run } from './run'

/** How many times faster the workers were than one process, or undefined before the end. */
export function speedUpOf({ baseline, milliseconds, phase }: Run): number | undefined {
  return baseline !== undefined && phase === 'ended' ? baseline.milliseconds / milliseconds : undefined
}

/** Flags for each second, failed ones included. */
export function tasksPerSecond({ done, failed, milliseconds }: Run): number {
  return milliseconds === 0 ? 0 : ((done.size + failed.size) * 1000) / milliseconds
}

/** Whether every flag was rendered, except for the corrupt one, which failed. */
export function isAsExpected({ done, failed, flags }: Run): boolean {
  return done.size === flags.length - 1 && failed.has(CORRUPT.code)
}

/** How far it is, on one line. */
export function progressOf({ done, failed, flags, phase, workers }: Run): string {
  if (phase === 'baseline') return 'now one process renders all flags, for comparison'
  return `rendered ${String(done.size + failed.size)} of ${String(flags.length)} flags, with ${String(workers.size)} workers`
}

/** The whole run on one line. */
export function summaryOf(run: Run): string {
  const { baseline, bootMilliseconds = 0, done, failed, flags, problem, workers } = run
  const failures = failed.size === 0 ? 'none failed' : `${String(failed.size)} failed: ${[...failed.keys()].join(', ')}`
  const result = `rendered ${String(done.size)} of ${String(flags.length)} flags in ${String(WIDTHS.length)} sizes (${failures})`
  if (problem !== undefined || baseline === undefined) return `${result}; broken off: ${problem ?? 'no comparison'}`
  return (
    `${result} in ${seconds(run.milliseconds)}: ${tasksPerSecond(run).toFixed(1)} tasks/s, ` +
    `speed-up ${speedUpOf(run)?.toFixed(2) ?? '?'} over one process (${seconds(baseline.milliseconds)}), ` +
    `${String(workers.size)} workers, worker boot ${seconds(bootMilliseconds)}`
  )
}

export function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`
}

/**
 * Milliseconds of a clock that only goes forward, whatever happens to the time of day, and that all processes of a machine
 * share (unlike performance.now, which counts from each process's own start).
 */
export function monotonicNow(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000
}

/**
 * The clocks as they were when this file was loaded. Fake timers and tests may replace them later, in one process and
 * not in another.
 */
const timeOfDay = Date.now.bind(Date)
const sinceStart = performance.now.bind(performance)

/**
 * When this process started, on the machine's clock. Node reads both from the same clock, and `sinceStart` much faster.
 */
const START = readStart()

/** Takes the closest of several pairs of readings, since the process may be suspended between the two of a pair. */
function readStart(): number {
  const readings = Array.from({ length: 5 }, () => {
    const before = sinceStart()
    const now = Number(process.hrtime.bigint()) / 1e6
    const width = sinceStart() - before
    return { start: now - before - width / 2, width }
  })
  return readings.reduce((best, reading) => (reading.width < best.width ? reading : best)).start
}

/**
 * Milliseconds of a clock that only goes forward, whatever happens to the time of day, and that all processes of a
 * machine share (unlike performance.now, which counts from each process's own start).
 */
export function monotonicNow(): number {
  return START + sinceStart()
}

/** If two offsets differ by more than this, the machine has slept between them, or its clock was set. */
export const MAX_OFFSET_DRIFT_MS = 1000

/**
 * The time of day minus the monotonic clock, in milliseconds. It is the same in all processes of a machine. It jumps
 * when the machine sleeps, because the monotonic clock stands still meanwhile, and when somebody sets the clock.
 */
export function clockOffset(): number {
  return timeOfDay() - monotonicNow()
}

/** Whether the machine has slept, or its clock was set, between these two offsets. */
export function hasJumped(before: number, after: number): boolean {
  return Math.abs(after - before) > MAX_OFFSET_DRIFT_MS
}

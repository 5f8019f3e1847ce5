/** As this file was loaded: fake timers, and tests, may replace these later, in one process and not in another. */
const timeOfDay = Date.now.bind(Date)
const sinceStart = performance.now.bind(performance)

/** Of this process, on the clock of the machine: Node reads both from the same clock, and `sinceStart` much faster. */
const START = readStart()

/** The process may be suspended between two readings: the pair that is closest together counts. */
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

/** Two offsets that are further apart than this say that the machine slept between them, or that its clock was set. */
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

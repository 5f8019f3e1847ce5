import type { EntryOf } from './log'

/** Converts between two clocks by readings of both, since they drift apart over a long run. */
export class Clock {
  readonly #readings: readonly EntryOf<'clock'>[]

  /** @param readings in the order of time */
  constructor(readings: readonly EntryOf<'clock'>[]) {
    this.#readings = readings
  }

  /** The correct time of day at this moment; Infinity without any reading. */
  wall(at: number): number {
    const reading = this.#readings.findLast(clock => clock.at <= at) ?? this.#readings[0]
    return reading === undefined ? Infinity : reading.wall + (at - reading.at)
  }

  /** The moment at which `wall` was the correct time of day; Infinity without any reading. */
  monotonic(wall: number): number {
    const reading = this.#readings.findLast(clock => clock.wall <= wall) ?? this.#readings[0]
    return reading === undefined ? Infinity : reading.at + (wall - reading.wall)
  }
}

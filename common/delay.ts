/** How long something may be put off. Imports nothing, so that errors and policies share the rule. */

/** Added to the time of day, a delay of this length is still within the range of a Date. */
export const MAX_DELAY_MS = 2 ** 52

export const DELAY_ALLOWED = 'milliseconds, from 0 to 2^52'

export function isDelay(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= MAX_DELAY_MS
}

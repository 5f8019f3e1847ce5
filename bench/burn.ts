import { now } from './clock'

/**
 * Keeps a cpu busy, with the same work in every process. @returns the result, so that V8 cannot optimize it away
 */
export function burn(iterations: number): number {
  let value = 1
  for (let index = 0; index < iterations; index++) value = (Math.imul(value, 1_664_525) + 1_013_904_223) | 0
  return value
}

/** Burns `count` times, one after another. */
export function burnAll(count: number, iterations: number): Promise<void> {
  for (let index = 0; index < count; index++) burn(iterations)
  return Promise.resolve()
}

const PROBE_ITERATIONS = 2_000_000
const PROBES = 25

/** How many iterations take a millisecond on this machine when nothing else runs. */
export function iterationsPerMillisecond(): number {
  const times = Array.from({ length: PROBES }, () => {
    const startedAt = now()
    burn(PROBE_ITERATIONS)
    return now() - startedAt
  })
  return Math.round(PROBE_ITERATIONS / Math.min(...times))
}

import { setTimeout as pause } from 'node:timers/promises'

/**
 * Between two samples there is a pause, in which everything comes to rest. Its length is random, so that samples do not
 * fall into step with a timer.
 */
const MIN_PAUSE_MS = 5
const MAX_PAUSE_MS = 25

/** After this time no more samples are taken: if each is slow, fewer are enough. */
const LIMIT_MS = 15_000

/** Takes up to `samples` samples, one after another. */
export async function latencies(samples: number, measure: () => Promise<number>): Promise<number[]> {
  const values: number[] = []
  const startedAt = performance.now()
  while (values.length < samples && performance.now() - startedAt < LIMIT_MS) {
    await pause(MIN_PAUSE_MS + Math.random() * (MAX_PAUSE_MS - MIN_PAUSE_MS))
    values.push(await measure())
  }
  return values
}

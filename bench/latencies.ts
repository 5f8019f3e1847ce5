import { setTimeout as pause } from 'node:timers/promises'

/**
 * Between two samples, so that everything has come to rest; of random length, so that samples fall into step with no
 * timer.
 */
const SHORTEST_PAUSE_MS = 5
const LONGEST_PAUSE_MS = 25

/** Where each sample takes long, fewer say enough. */
const LIMIT_MS = 15_000

/** Takes one sample after the other, up to so many. */
export async function latencies(samples: number, measure: () => Promise<number>): Promise<number[]> {
  const values: number[] = []
  const startedAt = performance.now()
  while (values.length < samples && performance.now() - startedAt < LIMIT_MS) {
    await pause(SHORTEST_PAUSE_MS + Math.random() * (LONGEST_PAUSE_MS - SHORTEST_PAUSE_MS))
    values.push(await measure())
  }
  return values
}

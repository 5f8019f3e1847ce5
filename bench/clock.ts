import { monotonicNow as now } from '../common/clock'

export { now }

/** How long something took, in milliseconds. */
export async function timed(run: () => Promise<unknown>): Promise<number> {
  const startedAt = now()
  await run()
  return now() - startedAt
}

import type { Sample } from '../../messages'

/** What this process holds after a garbage collection. Needs `--expose-gc`. */
export function takeSample(): Sample {
  globalThis.gc?.()
  const { heapUsed, rss } = process.memoryUsage()
  const counts: Record<string, number> = {}
  for (const resource of process.getActiveResourcesInfo()) counts[resource] = (counts[resource] ?? 0) + 1
  for (const event of process.eventNames()) counts[`listeners of ${String(event)}`] = process.listenerCount(event)
  return { heapUsed, rss, counts }
}

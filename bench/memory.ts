import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Memory } from './protocol'

/** What this process holds after a garbage collection. */
export function collected(): Memory {
  setFlagsFromString('--expose-gc')
  ;(runInNewContext('gc') as () => void)()
  const { heapUsed, rss } = process.memoryUsage()
  return { heap: heapUsed, rss }
}

export function growth(before: Memory, after: Memory): Memory {
  return { heap: after.heap - before.heap, rss: after.rss - before.rss }
}

import { getPriority, setPriority } from 'node:os'
import { messageOf } from '../../../common/errors'

/** How far the priority of workers is below that of the master. */
const LOWER_BY = 10
const LOWEST = 19

/**
 * Sets the scheduling priority of a worker. Call it in the turn of the fork: the system sets the priority of one
 * thread, and threads and processes that this thread starts later inherit it.
 *
 * @param priority a nice value, or null for a lower priority than this process has
 * @param warn called when the system refuses
 */
export function prioritize(pid: number, priority: number | null, warn: (text: string) => void): void {
  try {
    setPriority(pid, priority ?? Math.min(LOWEST, getPriority() + LOWER_BY))
  } catch (error) {
    const wanted = priority === null ? 'a lower priority' : `the priority ${String(priority)} (workerPriority)`
    warn(`the system refuses worker ${String(pid)} ${wanted}: ${messageOf(error)}`)
  }
}

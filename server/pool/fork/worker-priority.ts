import { getPriority, setPriority } from 'node:os'
import { messageOf } from '../../../common/errors'

/** How much lower than the master's the priority of workers is. */
const LOWER_BY = 10
const LOWEST = 19

/**
 * Gives a worker its scheduling priority. To be called in the turn of the fork: the system sets it for one thread, and
 * the threads that this starts later inherit it, as do the processes.
 *
 * @param priority a nice value, or null for a lower priority than this process has
 * @param warn is told when the system refuses
 */
export function prioritize(pid: number, priority: number | null, warn: (text: string) => void): void {
  try {
    setPriority(pid, priority ?? Math.min(LOWEST, getPriority() + LOWER_BY))
  } catch (error) {
    const wanted = priority === null ? 'a lower priority' : `the priority ${String(priority)} (workerPriority)`
    warn(`the system refuses worker ${String(pid)} ${wanted}: ${messageOf(error)}`)
  }
}

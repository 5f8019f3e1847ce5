import { readdirSync } from 'node:fs'
import { getPriority, setPriority } from 'node:os'
import { messageOf } from '../../../common/errors'

/** How far the priority of workers is below that of the master. */
const LOWER_BY = 10
const LOWEST = 19

/**
 * Sets the scheduling priority of a worker. Call it in the turn of the fork: on Linux, the system sets the priority of
 * one thread. Threads and processes that this thread starts later inherit it; those that it has started already, before
 * this process ran again, are set one by one.
 *
 * @param priority a nice value, or null for a lower priority than this process has
 * @param warn called when the system refuses
 */
export function prioritize(pid: number, priority: number | null, warn: (text: string) => void): void {
  try {
    const value = priority ?? Math.min(LOWEST, getPriority() + LOWER_BY)
    setPriority(pid, value)
    for (const thread of threadsOf(pid)) setUnlessGone(thread, value)
  } catch (error) {
    const wanted = priority === null ? 'a lower priority' : `the priority ${String(priority)} (workerPriority)`
    warn(`the system refuses worker ${String(pid)} ${wanted}: ${messageOf(error)}`)
  }
}

/** Empty where there is no `/proc`: other systems set the priority of the whole process. */
function threadsOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${String(pid)}/task`).map(Number)
  } catch {
    return []
  }
}

function setUnlessGone(thread: number, value: number): void {
  try {
    setPriority(thread, value)
  } catch (error) {
    if ((error as { info?: { code?: string } }).info?.code !== 'ESRCH') throw error
  }
}

import { readFileSync, readdirSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { WORKER_VARIABLE } from '../../../common/protocol'
import { isGoneByKey } from '../../queue/mongo/owner'

const POLL_MS = 5
/** A process that the system does not let go by then runs nothing of ours either. */
const PATIENCE_MS = 2000

/**
 * Ends the workers on this machine whose master is gone: one that blocks its event loop lives on for a moment, and one that is
 * stopped for as long as it is. The tasks of that master may be given back once they are gone.
 */
export async function endOrphans(): Promise<void> {
  await Promise.all(processes().filter(isOrphan).map(end))
}

function isOrphan(pid: number): boolean {
  const key = masterKeyOf(pid)
  return key !== undefined && isGoneByKey(key)
}

async function end(pid: number): Promise<void> {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has gone by itself meanwhile.
  }
  const deadline = performance.now() + PATIENCE_MS
  // The environment of a process that has ended, and is a zombie at most, reads as empty.
  while (masterKeyOf(pid) !== undefined && performance.now() < deadline) await pause(POLL_MS)
}

/** None where there is no /proc. */
function processes(): number[] {
  try {
    return readdirSync('/proc')
      .filter(name => /^\d+$/.test(name))
      .map(Number)
  } catch {
    return []
  }
}

/** The key of the master that forked this worker; undefined for any other process. */
function masterKeyOf(pid: number): string | undefined {
  try {
    const environment = readFileSync(`/proc/${String(pid)}/environ`, 'utf8').split('\0')
    const prefix = `${WORKER_VARIABLE}=`
    return environment.find(entry => entry.startsWith(prefix))?.slice(prefix.length)
  } catch {
    // Gone, or somebody else's.
    return undefined
  }
}

import { readFileSync, readdirSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { WORKER_VARIABLE } from '../../common/protocol'

const POLL_MS = 5

/**
 * Ends the workers that masters of this machine, which are gone, left behind: one that blocks its event loop lives on for a
 * moment, and one that is stopped for as long as it is. Their tasks may be given back once they are gone.
 *
 * @param ownerKeys see `keyOf`
 */
export async function endWorkersOf(ownerKeys: ReadonlySet<string>): Promise<void> {
  if (ownerKeys.size === 0) return
  for (const pid of processes()) {
    const key = ownerKeyOf(pid)
    if (key !== undefined && ownerKeys.has(key)) await end(pid)
  }
}

async function end(pid: number): Promise<void> {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has gone by itself meanwhile.
  }
  // The environment of a process that has ended, and is a zombie at most, reads as empty.
  while (ownerKeyOf(pid) !== undefined) await pause(POLL_MS)
}

function processes(): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
}

/** The key of the master that forked this worker; undefined for any other process. */
function ownerKeyOf(pid: number): string | undefined {
  try {
    const environment = readFileSync(`/proc/${String(pid)}/environ`, 'utf8').split('\0')
    const prefix = `${WORKER_VARIABLE}=`
    return environment.find(entry => entry.startsWith(prefix))?.slice(prefix.length)
  } catch {
    // Gone, or somebody else's.
    return undefined
  }
}

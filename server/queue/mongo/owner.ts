import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { createId } from '../../../common/id'

/** Which master holds a claim, with what another process on the same machine needs to tell whether it still lives. */
export interface Owner {
  /**
   * Random. The other fields are no identity: in copies of one virtual machine, or in sandboxes, two living masters may
   * agree in all of them.
   */
  readonly id: string
  readonly host: string
  readonly pid: number
  /** This boot of the machine, and the namespace in which `pid` counts; empty where the system does not tell. */
  readonly system: string
  /** When the process started, in the system's own unit; empty where it does not tell. */
  readonly startedAt: string
}

export function currentOwner(): Owner {
  return {
    id: createId(),
    host: hostname(),
    pid: process.pid,
    system: currentSystem(),
    startedAt: statOf(process.pid)?.startedAt ?? '',
  }
}

/** Names a process of this machine as a text: see `isGoneByKey`. */
export function keyOf({ system, pid, startedAt }: Owner): string {
  return [system, pid, startedAt].join(' ')
}

/** Whether the process with this key is certain to be gone. */
export function isGoneByKey(key: string): boolean {
  const [system = '', pid, startedAt = ''] = key.split(' ')
  return isGone({ host: hostname(), system, pid: Number(pid), startedAt })
}

/**
 * Whether this owner's process is certain to be gone. In doubt (another machine or container, a system without /proc)
 * the answer is false.
 */
export function isGone(owner: Omit<Owner, 'id'>): boolean {
  const system = currentSystem()
  if (system === '' || owner.host !== hostname() || owner.system !== system) return false
  if (!isAlive(owner.pid)) return true
  const stat = statOf(owner.pid)
  return stat !== undefined && (stat.isZombie || stat.startedAt !== owner.startedAt)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: it lives, under another user.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

function currentSystem(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    return `${boot}/${readlinkSync('/proc/self/ns/pid')}`
  } catch {
    // No /proc: macOS, Windows.
    return ''
  }
}

/** Whether this process may still run code: a zombie only waits for its parent. False on a system without /proc. */
export function isRunning(pid: number): boolean {
  return statOf(pid)?.isZombie === false
}

interface ProcessStat {
  readonly isZombie: boolean
  /** A pid. */
  readonly parent: number
  readonly startedAt: string
}

/**
 * Linux only: fields 3 (state), 4 (parent) and 22 (start time, in clock ticks since boot) of /proc/PID/stat. The name in
 * field 2 may itself hold spaces and brackets.
 */
export function statOf(pid: number): ProcessStat | undefined {
  try {
    const stat = readFileSync(`/proc/${String(pid)}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { isZombie: fields[0] === 'Z', parent: Number(fields[1]), startedAt: fields[19] ?? '' }
  } catch {
    return undefined
  }
}

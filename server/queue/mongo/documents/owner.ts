import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { createId } from '../../../../common/id'

/**
 * The master that holds a claim. With these fields, another process on the same machine can tell whether it is alive.
 */
export interface Owner {
  /**
   * Random. The other fields do not identify a master: in copies of one virtual machine, or in sandboxes, two live
   * masters may agree in all of them.
   */
  readonly id: string
  readonly host: string
  readonly pid: number
  /** The boot id of the machine and the pid namespace of the process; empty when the system does not say. */
  readonly system: string
  /** When the process started, in the system's own unit; empty when the system does not say. */
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

/** A string that identifies a process of this machine: see `isGoneByKey`. */
export function keyOf({ system, pid, startedAt }: Owner): string {
  return [system, pid, startedAt].join(' ')
}

/** Whether the process with this key is certainly gone. */
export function isGoneByKey(key: string): boolean {
  const [system = '', pid, startedAt = ''] = key.split(' ')
  return isGone({ host: hostname(), system, pid: Number(pid), startedAt })
}

/**
 * Whether this owner's process is certainly gone. In doubt the answer is false: on another machine, in another
 * container, or without /proc.
 */
export function isGone(owner: Omit<Owner, 'id'>): boolean {
  const system = currentSystem()
  // Invariant 5: an owner in doubt counts as alive.
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
    // EPERM: the process is alive, and belongs to another user.
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

/** Whether this process may still run code, which a zombie cannot. False on a system without /proc. */
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
 * Linux only: fields 3 (state), 4 (parent) and 22 (start time, in clock ticks since boot) of /proc/PID/stat. The name
 * in field 2 may itself hold spaces and brackets.
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

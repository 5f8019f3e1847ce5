import { readFileSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import type { Machine } from '../common/options'

export const MEGABYTE = 1024 * 1024

/** The CPUs and the memory that this process and its workers may use. */
export function machine(): Machine {
  return { cpus: availableCpus(), memory: memoryLimit() }
}

/**
 * How many CPUs this process may use. Before libuv 1.49, Node ignores a container's quota, so the quota is read here:
 * from cgroup v2, otherwise from v1. A quota of one and a half CPUs counts as one.
 */
export function availableCpus(): number {
  return Math.max(1, Math.floor(Math.min(availableParallelism(), quota())))
}

/** The memory limit of the control group, in megabytes; Infinity if it is not below the machine's memory. */
function memoryLimit(): number {
  const bytes = process.constrainedMemory()
  // 0 means unknown. Without a limit, the value exceeds the machine's memory.
  return bytes > 0 && bytes < totalmem() ? bytes / MEGABYTE : Infinity
}

function quota(): number {
  const [limit, period] = read('/sys/fs/cgroup/cpu.max')?.split(' ') ?? [
    read('/sys/fs/cgroup/cpu/cpu.cfs_quota_us'),
    read('/sys/fs/cgroup/cpu/cpu.cfs_period_us'),
  ]
  const cpus = Number(limit) / Number(period)
  // No quota is written as `max` in v2, and as -1 in v1.
  return cpus > 0 ? cpus : Infinity
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    return undefined
  }
}

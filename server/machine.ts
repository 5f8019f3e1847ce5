import { readFileSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import type { Machine } from '../common/options'

const MEGABYTE = 1024 * 1024

/** What this process and its workers may use. */
export function machine(): Machine {
  return { cpus: availableCpus(), memory: memoryLimit() }
}

/**
 * How many cpus this process may use. Node's own answer does not know of a container's quota before libuv 1.49, so the
 * quota is read here: cgroup v2, then v1. A quota of one and a half cpus counts as one.
 */
export function availableCpus(): number {
  return Math.max(1, Math.floor(Math.min(availableParallelism(), quota())))
}

/** Megabytes that a container grants, by its control group; Infinity if it grants all that the machine has. */
function memoryLimit(): number {
  const bytes = process.constrainedMemory()
  // 0: unknown. Without a limit it is more than there is.
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

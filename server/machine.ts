import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

/**
 * How many cpus this process may use. Node's own answer does not know of a container's quota before libuv 1.49, so the
 * quota is read here: cgroup v2, then v1. A quota of one and a half cpus counts as one.
 */
export function availableCpus(): number {
  return Math.max(1, Math.floor(Math.min(availableParallelism(), quota())))
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

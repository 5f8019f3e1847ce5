/** The CPU time of a subject and of its database. Unlike jobs per second, it holds on a shared machine. */
import { MongoClient } from 'mongodb'
import { allPids, cpuTimeOf, parentOf } from '../tests/support/processes'
import type { Drained } from './protocol'

/** Milliseconds of CPU time since the start of each process. */
export interface CpuTimes {
  /** Undefined for a database that is not on this machine, or is no mongod. */
  readonly database: number | undefined
  readonly process: number
  /** All processes that it has forked. */
  readonly workers: number
}

/** @param database the URL of a mongod. @returns the pid of that mongod, if it is on this machine */
export async function pidOfDatabase(database: string): Promise<number | undefined> {
  const client = new MongoClient(database)
  try {
    const { pid } = await client.db('admin').command({ serverStatus: 1 })
    return allPids().includes(Number(pid)) ? Number(pid) : undefined
  } finally {
    await client.close()
  }
}

export function cpuTimes(process: number, database: number | undefined): CpuTimes {
  const workers = allPids().filter(pid => parentOf(pid) === process)
  return {
    database: database === undefined ? undefined : cpuTimeOf(database),
    process: cpuTimeOf(process),
    workers: workers.reduce((total, pid) => total + cpuTimeOf(pid), 0),
  }
}

/** For the document: how much CPU time each job took. */
export function describeCpu(before: CpuTimes, after: CpuTimes, drained: readonly Drained[]): string {
  const jobs = drained.reduce((total, { jobs }) => total + jobs, 0)
  const parts = (['database', 'process', 'workers'] as const).flatMap(what => {
    const used = (after[what] ?? NaN) - (before[what] ?? NaN)
    return Number.isNaN(used) ? [] : [`${what} ${String(Math.round((1000 * used) / jobs))} µs`]
  })
  return `CPU time per job: ${parts.join(', ')}`
}

import { readFileSync, readdirSync } from 'node:fs'
import { WORKER_VARIABLE } from '../../common/pipe/protocol'

/** The living workers of a master, which may have other children too. For Linux, where the tests run. */
export function workersOf(master: number): number[] {
  return allPids().filter(pid => statOf(pid)?.parent === master && isAlive(pid) && isWorker(pid))
}

export function allPids(): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
}

function isWorker(pid: number): boolean {
  return readProcess(pid, 'environ').some(entry => entry.startsWith(`${WORKER_VARIABLE}=`))
}

/** Empty for a process that is gone, or a zombie. */
export function readProcess(pid: number, file: 'environ' | 'cmdline'): string[] {
  try {
    return readFileSync(`/proc/${String(pid)}/${file}`, 'utf8').split('\0')
  } catch {
    return []
  }
}

/** A zombie counts as gone: it only waits for its parent to read its exit code. */
export function isAlive(pid: number): boolean {
  const stat = statOf(pid)
  return stat !== undefined && stat.state !== 'Z'
}

/** Lets a process that was suspended go on, unless it is gone. */
export function resume(pid: number): void {
  try {
    process.kill(pid, 'SIGCONT')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

export function parentOf(pid: number): number | undefined {
  return statOf(pid)?.parent
}

/** Linux counts in hundredths of a second, whatever its kernel's clock does (USER_HZ). */
const TICK_MS = 10

/** Milliseconds of CPU time that all its threads have used; NaN for one that is gone. */
export function cpuTimeOf(pid: number): number {
  return statOf(pid)?.cpuTime ?? NaN
}

/** Processes that are remembered. By the time that one is looked up, its pid may be that of another. */
export class Processes {
  /** When each started, by its pid. */
  readonly #startedAt = new Map<number, string | undefined>()

  add(pid: number): void {
    this.#startedAt.set(pid, statOf(pid)?.startedAt)
  }

  get size(): number {
    return this.#startedAt.size
  }

  get living(): number[] {
    const known = [...this.#startedAt]
    return known.filter(([pid, startedAt]) => isAlive(pid) && statOf(pid)?.startedAt === startedAt).map(([pid]) => pid)
  }
}

interface Stat {
  /** In ticks since the system has booted. */
  readonly startedAt: string | undefined
  readonly state: string | undefined
  readonly parent: number
  readonly cpuTime: number
}

function statOf(pid: number): Stat | undefined {
  try {
    const stat = readFileSync(`/proc/${String(pid)}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const [state, parent] = fields
    const [user, system] = fields.slice(11, 13).map(Number)
    return {
      startedAt: fields[19],
      state,
      parent: Number(parent),
      cpuTime: ((user ?? NaN) + (system ?? NaN)) * TICK_MS,
    }
  } catch {
    return undefined
  }
}

/** The nice values of all threads of a process. */
export function prioritiesOf(pid: number): number[] {
  const threads = `/proc/${String(pid)}/task`
  return readdirSync(threads).map(thread => priorityIn(readFileSync(`${threads}/${thread}/stat`, 'utf8')))
}

/** @param stat what /proc says of a process or thread */
export function priorityIn(stat: string): number {
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16])
}

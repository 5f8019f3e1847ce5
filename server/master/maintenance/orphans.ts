import { readFileSync, readdirSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { WORKER_VARIABLE } from '../../../common/pipe/protocol'
import { serverEntry } from '../../pool/fork/fork-server'
import { isMarkOf } from '../../pool/fork/worker-mark'
import { isGoneByKey, isRunning, statOf } from '../../queue/mongo/documents/owner'

const POLL_MS = 5
/** How long to wait for a killed process. One that the system still lists by then runs none of our code, either. */
const PATIENCE_MS = 2000

/** What a process on this machine shows of itself. */
export interface ProcessInfo {
  readonly commandLine: readonly string[]
  /** The pid of its parent. */
  readonly parent: number
  /** The value of `WORKER_VARIABLE` in its environment. It may have inherited this from a worker. */
  readonly mark: string
  readonly databaseUrl: string | undefined
}

/** What the workers of this app have in common: they run this file, on this database. */
export interface App {
  readonly main: string
  readonly databaseUrl: string | undefined
}

/**
 * Kills the workers on this machine whose master is gone. Such a worker exits by itself, but not while it is stopped
 * (SIGSTOP), and only after a moment if it blocks its event loop.
 *
 * @returns the marks of the processes that live on: they may be workers, but are not proven to be. The tasks of their
 * masters must not be released before the leases have expired
 */
export async function endOrphans(): Promise<readonly string[]> {
  const app = { main: serverEntry(), databaseUrl: process.env.MONGO_URL }
  const marked = processes().flatMap(pid => {
    const info = infoOf(pid)
    return info === undefined ? [] : [{ pid, info }]
  })
  const isProven = ({ info }: (typeof marked)[number]) => isOrphan(info, app)
  // Invariant 8: a master that restarts ends the workers of its previous run.
  await Promise.all(marked.filter(isProven).map(({ pid }) => end(pid)))
  return marked.filter(process => !isProven(process)).map(({ info }) => info.mark)
}

/** Whether this process is proven to be a worker of this app, and its master is certainly gone. */
// Invariant 5: a master kills no process that it cannot prove to be a worker of a dead master.
export function isOrphan({ commandLine, parent, mark, databaseUrl }: ProcessInfo, app: App): boolean {
  const [, master] = mark.split(' ')
  return (
    isGoneByKey(mark) &&
    parent !== Number(master) &&
    isMarkOf(mark, commandLine) &&
    commandLine.includes(app.main) &&
    databaseUrl === app.databaseUrl
  )
}

async function end(pid: number): Promise<void> {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has exited by itself meanwhile.
  }
  const deadline = performance.now() + PATIENCE_MS
  while (isRunning(pid) && performance.now() < deadline) await pause(POLL_MS)
}

/** The pids of all processes; none without /proc. */
function processes(): number[] {
  try {
    return readdirSync('/proc')
      .filter(name => /^\d+$/.test(name))
      .map(Number)
  } catch {
    return []
  }
}

/** Undefined for a process that has no `WORKER_VARIABLE`, that is gone, or that belongs to another user. */
function infoOf(pid: number): ProcessInfo | undefined {
  try {
    const environment = read(pid, 'environ')
    const mark = valueOf(WORKER_VARIABLE, environment)
    const parent = statOf(pid)?.parent
    if (mark === undefined || parent === undefined) return undefined
    return { mark, databaseUrl: valueOf('MONGO_URL', environment), parent, commandLine: read(pid, 'cmdline') }
  } catch {
    return undefined
  }
}

/** Each entry ends with a null byte. */
function read(pid: number, file: 'environ' | 'cmdline'): string[] {
  return readFileSync(`/proc/${String(pid)}/${file}`, 'utf8')
    .split('\0')
    .slice(0, -1)
}

function valueOf(name: string, environment: readonly string[]): string | undefined {
  const prefix = `${name}=`
  return environment.find(entry => entry.startsWith(prefix))?.slice(prefix.length)
}

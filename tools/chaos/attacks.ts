/** Carries out each kind of attack. Each function resolves when the attack is over. */
import { setTimeout as pause } from 'node:timers/promises'
import { monotonicNow } from '../../common/clock'
import type { PlannedAttack } from '../../tests/chaos/nemesis'
import type { KillableDatabase } from './database'
import type { Master } from './master'

/**
 * How long we wait for the master of a stopped worker to claim a job, and how often we try, before we stop the master
 * too.
 */
const SENT_WITHIN_MS = 60
const TRIES = 12
/** How long the worker resumes between two tries. */
const RESUMED_MS = 100
/** How long the worker runs before its master resumes too. */
const HEAD_START_MS = 300

export interface Attacked {
  /** Pids. */
  readonly targets: readonly number[]
  /** When the attack began, on the monotonic clock. */
  readonly from: number
  /** Workers that were stopped, and so outlived their master. */
  readonly orphans?: readonly number[]
}

export async function takeAway(database: KillableDatabase, duration: number): Promise<Attacked> {
  const targets = [database.pid]
  return { targets, from: await database.takeAway(duration) }
}

export function killWorker(worker: number): Promise<Attacked> {
  const from = monotonicNow()
  signal(worker, 'SIGKILL')
  return Promise.resolve({ targets: [worker], from })
}

export async function stopFor(targets: readonly number[], duration: number): Promise<Attacked> {
  const from = monotonicNow()
  for (const pid of targets) signal(pid, 'SIGSTOP')
  await pause(duration)
  for (const pid of targets) signal(pid, 'SIGCONT')
  return { targets, from }
}

export async function attackMaster(
  database: KillableDatabase,
  master: Master,
  { kind, duration, skew }: PlannedAttack,
): Promise<Attacked> {
  if (kind === 'stop-master') return stopFor([master.pid], duration)
  // Stopped workers outlive their master, and resume their jobs after it is back, unless somebody kills them.
  const orphans = kind === 'kill-master' && duration > 0 ? master.workerPids : []
  const [targets, from] = [[master.pid], monotonicNow()]
  for (const pid of orphans) signal(pid, 'SIGSTOP')
  await master.end(kind === 'clean-stop' ? 'SIGTERM' : 'SIGKILL')
  await database.whileThere(() => master.start(kind === 'skew' ? skew : master.skew))
  if (orphans.length > 0) await pause(duration)
  for (const pid of orphans) signal(pid, 'SIGCONT')
  return { targets, from, orphans }
}

/** When the worker resumes, it finds a job whose lease expired long ago. */
export async function stopPair(
  database: KillableDatabase,
  master: Master,
  worker: number,
  duration: number,
): Promise<Attacked> {
  for (let left = TRIES; left > 0 && !(await stopAndAwaitClaim(database, master, worker)); left--) {
    signal(worker, 'SIGCONT')
    await pause(RESUMED_MS)
  }
  signal(worker, 'SIGSTOP')
  const [targets, from] = [[master.pid, worker], monotonicNow()]
  signal(master.pid, 'SIGSTOP')
  await pause(duration)
  signal(worker, 'SIGCONT')
  await pause(HEAD_START_MS)
  signal(master.pid, 'SIGCONT')
  return { targets, from }
}

/**
 * Stops the worker. @returns whether its master then claims a task for it; not so if the worker was stopped in the
 * middle of a job
 */
function stopAndAwaitClaim(database: KillableDatabase, master: Master, worker: number): Promise<boolean> {
  signal(worker, 'SIGSTOP')
  return database.claimsWithin(master.pid, SENT_WITHIN_MS)
}

/** The process may have exited by itself. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    return
  }
}

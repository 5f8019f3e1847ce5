/** How each kind of attack is carried out. Each resolves when all is as before. */
import { setTimeout as pause } from 'node:timers/promises'
import { monotonicNow } from '../../common/clock'
import type { PlannedAttack } from '../../tests/chaos/nemesis'
import type { KillableDatabase } from './database'
import type { Master } from './master'

/** How long a stopped worker is given to be sent a job, and how often, before its master is stopped too. */
const SENT_WITHIN_MS = 60
const TRIES = 12
/** How long it may go on in between. */
const GOES_ON_MS = 100
/** How long a worker has for itself before its master goes on too. */
const HEAD_START_MS = 300

export interface Attacked {
  /** Pids. */
  readonly targets: readonly number[]
  /** The moment from which they count as attacked, on the monotonic clock. */
  readonly from: number
  /** Workers that were stopped, and outlived their master. */
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
  // They outlive their master, and go on with their jobs after it is back, unless somebody ends them.
  const orphans = kind === 'kill-master' && duration > 0 ? master.workerPids : []
  const [targets, from] = [[master.pid], monotonicNow()]
  for (const pid of orphans) signal(pid, 'SIGSTOP')
  await master.end(kind === 'clean-stop' ? 'SIGTERM' : 'SIGKILL')
  await database.whileThere(() => master.start(kind === 'skew' ? skew : master.skew))
  if (orphans.length > 0) await pause(duration)
  for (const pid of orphans) signal(pid, 'SIGCONT')
  return { targets, from, orphans }
}

/** The worker finds what it was sent when the job's lease has long ended. */
export async function stopPair(
  database: KillableDatabase,
  master: Master,
  worker: number,
  duration: number,
): Promise<Attacked> {
  for (let left = TRIES; left > 0 && !(await isSentWhileStopped(database, master, worker)); left--) {
    signal(worker, 'SIGCONT')
    await pause(GOES_ON_MS)
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

/** Stops the worker. It is not, when the worker was stopped in the middle of a job. */
function isSentWhileStopped(database: KillableDatabase, master: Master, worker: number): Promise<boolean> {
  signal(worker, 'SIGSTOP')
  return database.isClaimed(master.pid, SENT_WITHIN_MS)
}

/** It may have ended by itself meanwhile. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    return
  }
}

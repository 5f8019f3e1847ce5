/** Measures how long a task waits after the process that ran it, or that dispatched it, was killed. */
import { monotonicNow } from '../../common/clock'
import { type Server, withServers } from './server'
import { type Summary, summarize } from './statistics'

const REPETITIONS = 15
const MASTERS = 3
const LEASE_MS = 15_000
const REFRESH_RATE_MS = 1000

export interface Recovery {
  /** From the kill of a worker to the start of its task in another worker, which had already booted. */
  readonly workerKilled: Summary
  /** From the kill of a master to the start of its task on another master. */
  readonly masterKilled: Summary
  /** From the start of a master that replaces a killed one to the start of that one's task. */
  readonly masterRestarted: Summary
  /** The parts of `masterRestarted` before and after the fork of the new worker. */
  readonly untilFork: Summary
  readonly fromFork: Summary
  readonly passed: boolean
}

export async function recovery(databaseUrl: string): Promise<Recovery> {
  const workerKilled = await withServers(databaseUrl, start => killWorkers(start()))
  console.log('recovery: all workers are killed and measured')
  const masterKilled = await killMasters(databaseUrl)
  console.log('recovery: all masters are killed and measured')
  const restarts = await restartMasters(databaseUrl)
  const restarted = (field: keyof Restart) => summarize(restarts.map(restart => restart[field]))
  const summary = summarize(masterKilled)
  return {
    workerKilled: summarize(workerKilled),
    masterKilled: summary,
    masterRestarted: restarted('total'),
    untilFork: restarted('untilFork'),
    fromFork: restarted('fromFork'),
    // The next tick finds that the lease has expired; one tick more is granted for the poll itself.
    passed: summary.max <= LEASE_MS + 2 * REFRESH_RATE_MS,
  }
}

/**
 * Two tasks that run at once prove that both workers are up. Then one task is released, and the worker of the other is
 * killed.
 */
async function killWorkers(server: Server): Promise<number[]> {
  const times: number[] = []
  await server.notice('ready')
  for (let repetition = 0; repetition < REPETITIONS; repetition++) {
    const [killed, released] = [`killed-${String(repetition)}`, `released-${String(repetition)}`]
    for (const taskId of [killed, released]) server.hold(taskId)
    const [{ pid }] = await Promise.all([server.started(killed), server.started(released)])
    await server.release(released)
    const killedAt = monotonicNow()
    process.kill(pid, 'SIGKILL')
    times.push((await server.started(killed, 2)).at - killedAt)
    await server.release(killed)
  }
  return times
}

/**
 * The surviving master starts before the kills. One that started afterwards would see at once that the killed processes
 * are gone.
 */
function killMasters(databaseUrl: string): Promise<number[]> {
  const options = { leaseDuration: LEASE_MS, refreshRate: REFRESH_RATE_MS }
  return withServers(databaseUrl, async start => {
    const masters = Array.from({ length: MASTERS }, () => start({ ...options, maxAvailableWorkers: 1 }))
    const held = await Promise.all(masters.map((master, index) => occupy(master, `master-${String(index)}`, masters)))
    const survivor = start(options)
    await survivor.notice('ready')
    survivor.hold('warm')
    await survivor.started('warm')
    await survivor.release('warm')
    const times = held.map(async ({ taskId, holder }) => {
      const killedAt = monotonicNow()
      await holder.kill()
      const { at } = await survivor.started(taskId, 2)
      await survivor.release(taskId)
      return at - killedAt
    })
    return Promise.all(times)
  })
}

/** Adds a task, and finds out which of the masters has claimed it. Each master has one worker. */
async function occupy(
  master: Server,
  taskId: string,
  masters: readonly Server[],
): Promise<{ readonly taskId: string; readonly holder: Server }> {
  await master.notice('ready')
  master.hold(taskId)
  const holder = await Promise.any(masters.map(async candidate => (await candidate.started(taskId), candidate)))
  return { taskId, holder }
}

/** Milliseconds. */
interface Restart {
  readonly total: number
  readonly untilFork: number
  readonly fromFork: number
}

/** One task is never released: each master that starts requeues it, runs it, and is killed. */
async function restartMasters(databaseUrl: string): Promise<Restart[]> {
  const restarts: Restart[] = []
  await withServers(databaseUrl, async start => {
    let master = start({ maxAvailableWorkers: 1 })
    await master.notice('ready')
    master.hold('restarted')
    await master.started('restarted')
    for (let attempt = 2; attempt <= REPETITIONS + 1; attempt++) {
      await master.kill()
      const restartedAt = monotonicNow()
      master = start({ maxAvailableWorkers: 1 })
      const { at, forkedAt } = await master.started('restarted', attempt)
      restarts.push({ total: at - restartedAt, untilFork: forkedAt - restartedAt, fromFork: at - forkedAt })
    }
  })
  return restarts
}

/** One line for people. */
export function describeRecovery({ passed, ...times }: Recovery): string {
  const describe = ({ repetitions, median, p95, max }: Summary) =>
    `median ${String(median)}, p95 ${String(p95)}, max ${String(max)} ms (${String(repetitions)} times)`
  return (
    `recovery ${passed ? 'passed' : 'FAILED'}: worker killed: ${describe(times.workerKilled)}; ` +
    `master killed, task run by another: ${describe(times.masterKilled)}; ` +
    `master restarted: ${describe(times.masterRestarted)}, of that up to the fork of its worker: ` +
    `${describe(times.untilFork)}, after it: ${describe(times.fromFork)}`
  )
}

/**
 * One run. It attacks masters that process a load of tasks. Then it heals them, drains the queue, stops the masters,
 * and checks the log.
 */
import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { monotonicNow } from '../../common/clock'
import { type Verdict, check } from '../../tests/chaos/check'
import { planLoad } from '../../tests/chaos/load'
import { APP, type Act, RUN_VARIABLE, type Write, openLog, readLog } from '../../tests/chaos/log'
import { planAttacks } from '../../tests/chaos/nemesis'
import { planVariants } from '../../tests/chaos/settings'
import { anyPort } from '../../tests/support/ports'
import { comesTrue, eventually } from '../../tests/support/wait'
import { Attacker } from './attacker'
import { KillableDatabase } from './database'
import { Loader } from './loader'
import { Master } from './master'
import { Observer } from './observer'
import { commandOf, killAllOf, processesOf } from './processes'
import { Watcher } from './watcher'

export interface RunSettings {
  readonly seed: number
  readonly seconds: number
  readonly masters: number
  readonly workers: number
  /** Milliseconds. */
  readonly lease: number
  readonly hasNemesis: boolean
  /** main.js of a built server; undefined for the stand-in. */
  readonly server: string | undefined
}

const UNFINISHED = 30
const MAX_CRASHES = 3
/** Milliseconds. */
const REFRESH_RATE = 250
const ABORT_GRACE = 1000
const DRAIN_MS = 60_000
const RESUME: Act = { method: 'resume', name: { id: 'drain', incarnation: 'drain' } }
const RESUME_EVERY_MS = 1000
/** Of masters that start within this time, any may be the last. */
const STARTED_TOGETHER_MS = 10_000
/** How long a worker may outlive its master. */
const SURVIVAL_MS = 5000

/** Everything that a run works with. */
interface Rig {
  readonly settings: RunSettings
  readonly masters: readonly Master[]
  /** A server without a cluster, which nothing attacks. */
  readonly web: Master
  readonly observer: Observer
  readonly watcher: Watcher
  /** Milliseconds. */
  readonly bootedIn: number
  readonly database: KillableDatabase
  readonly write: Write
  readonly id: string
}

/** Owns the folder and the processes of a run. `cleanUp` must remove both, whatever happens. */
export class Run {
  readonly #id = randomUUID()
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'cluster-chaos-'))
  readonly #settings: RunSettings

  constructor(settings: RunSettings) {
    this.#settings = settings
  }

  /** The folder of the log, in which each process has a file. */
  get log(): string {
    return path.join(this.#folder, 'log')
  }

  /** The file for what the masters and their workers print. */
  get output(): string {
    return path.join(this.#folder, 'output.log')
  }

  async execute(): Promise<Verdict> {
    const { lease, hasNemesis } = this.#settings
    await this.drive(await this.setUp())
    const options = { maxCrashes: MAX_CRASHES, refreshRate: REFRESH_RATE, abortGrace: ABORT_GRACE }
    return check(readLog(this.log), { lease, hasNemesis, ...options })
  }

  /** Synchronous, so that it can run while the process exits. */
  cleanUp(): void {
    killAllOf(this.#id)
    rmSync(this.#folder, { recursive: true, force: true })
  }

  private async setUp(): Promise<Rig> {
    mkdirSync(this.log)
    const env = { [RUN_VARIABLE]: this.#id }
    const database = await KillableDatabase.start(this.#folder, await anyPort(), env)
    const write = openLog(this.log, 'driver')
    write({ what: 'clock', wall: Date.now() })
    const observer = new Observer(database.db, write)
    await observer.start()
    await database.addOtherApp()
    const watcher = new Watcher(this.log, write)
    const [web, ...masters] = await this.createServers({ ...env, MONGO_URL: database.url }, write)
    const from = monotonicNow()
    await Promise.all([web, ...masters].map(server => server.start()))
    const bootedIn = monotonicNow() - from
    return { settings: this.#settings, masters, web, observer, watcher, bootedIn, database, write, id: this.#id }
  }

  /** The first server has no cluster; the others are the masters. */
  private async createServers(env: NodeJS.ProcessEnv, write: Write): Promise<[Master, ...Master[]]> {
    const { seed, masters, workers, lease, server } = this.#settings
    const common = {
      ...{ refreshRate: REFRESH_RATE, abortGrace: ABORT_GRACE, maxCrashes: MAX_CRASHES, leaseDuration: lease },
      ...{ app: APP, keepAlive: 'always', maxAvailableWorkers: workers, logs: 'error' },
    }
    const create = (options: object, port: number, isWeb: boolean) =>
      new Master({
        server,
        options: { ...common, ...options, port },
        isWeb,
        env,
        log: this.log,
        output: this.output,
        write,
      })
    const variants = planVariants(seed, masters)
    const ports = await Promise.all(variants.map(() => anyPort()))
    return [create({}, 0, true), ...variants.map((variant, index) => create(variant, ports[index] ?? 0, false))]
  }

  private async drive(rig: Rig): Promise<void> {
    await attackUnderLoad(rig)
    await heal(rig)
    await drain(rig)
    await readSchedules(rig)
    await rig.observer.stop()
    for (const server of [...rig.masters, rig.web]) await server.end('SIGTERM')
    await findSurvivors(rig)
    rig.watcher.stop()
    await rig.database.stop()
  }
}

async function attackUnderLoad({ settings, masters, web, bootedIn, database, write }: Rig): Promise<void> {
  const { seed, seconds, lease, hasNemesis } = settings
  const until = monotonicNow() + seconds * 1000
  const attacker = new Attacker({ masters, database, bootedIn }, planAttacks(seed, lease), write)
  const plan = planLoad(seed, () => Date.now())
  const loader = new Loader({ masters, web, database }, plan, write, master => attacker.isFree(master), seed)
  await Promise.all([loader.run(until, UNFINISHED), hasNemesis ? attacker.run(until) : undefined])
  await loader.finish()
}

/** Everything runs again after the attacks. Restarts each master whose clock is wrong, with the right one. */
async function heal({ masters, write }: Rig): Promise<void> {
  for (const master of masters.filter(({ skew }) => skew !== 0)) {
    const [targets, from] = [[master.pid], monotonicNow()]
    await master.end('SIGKILL')
    await master.start(0)
    write({ what: 'attack', kind: 'skew', targets, from, until: monotonicNow() })
  }
}

async function drain({ database, web, write }: Rig): Promise<void> {
  const from = monotonicNow()
  // A job that pauses the type may run again, after whatever it left behind.
  const resuming = setInterval(() => void web.call(RESUME), RESUME_EVERY_MS)
  await web.call(RESUME)
  const isEmpty = () =>
    database.unfinished().then(
      count => count === 0,
      () => false,
    )
  const isComplete = await comesTrue(isEmpty, DRAIN_MS)
  clearInterval(resuming)
  write({ what: 'drain', milliseconds: monotonicNow() - from, isComplete })
  for (const { _id, state, data, error } of await database.left()) {
    const failure = error === undefined ? null : { name: error.name, message: error.message }
    write({ what: 'left', id: _id, incarnation: data.incarnation, state, error: failure })
  }
}

/** Waits until the schedules are those of the master that has started last. */
async function readSchedules({ database, masters, write }: Rig): Promise<void> {
  const newest = Math.max(...masters.map(({ startedAt }) => startedAt))
  const last = masters.filter(({ startedAt }) => newest - startedAt < STARTED_TOGETHER_MS)
  const expected = last.map(({ schedules }) => schedules)
  const found = async () => {
    const { own } = await database.schedules()
    return expected.includes(own)
  }
  await comesTrue(found, DRAIN_MS)
  write({ what: 'schedules', expected, ...(await database.schedules()) })
}

async function findSurvivors({ id, database, write }: Rig): Promise<void> {
  const survivors = () => processesOf(id).filter(pid => pid !== database.pid)
  await eventually('all processes are gone', () => survivors().length === 0, SURVIVAL_MS).catch(() => undefined)
  for (const target of survivors()) write({ what: 'survivor', target, command: commandOf(target) })
}

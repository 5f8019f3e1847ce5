/** A mongod that can be killed and started again: a replica set of one member, on a port that stays the same. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, openSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type Collection, type Db, MongoClient } from 'mongodb'
import { monotonicNow } from '../../common/clock'
import { APP, type Failure } from '../../tests/chaos/log'
import { comesTrue, eventually, within } from '../../tests/support/wait'
import { MONGOD_ARGS, mongodFile } from '../mongod'

const REPLICA_SET = 'chaos'
const NAME = 'chaos'

/** A master whose job has run for longer than this counts as busy. */
const BUSY_AFTER_MS = 150

const OTHER_APP = 'other'
const WITHOUT_TICKS = { schedule: { $exists: false } }

interface StoredSet {
  readonly _id: string
  readonly schedules: readonly { readonly name: string; readonly removedAt?: Date }[]
  readonly [field: string]: unknown
}

/** A task as the queue holds it. */
export interface LeftTask {
  readonly _id: string
  readonly state: string
  readonly data: { readonly incarnation: string }
  readonly error?: Failure
}

export class KillableDatabase {
  readonly #file: string
  readonly #folder: string
  readonly #port: number
  readonly #env: NodeJS.ProcessEnv
  readonly #admin: MongoClient
  /** What runs now and must not be interrupted: an outage waits for it. */
  readonly #needed = new Set<Promise<void>>()
  #mongod: ChildProcess | undefined
  #back: Promise<void> = Promise.resolve()
  /** The crash driver's own client; each master has another. */
  readonly #client: MongoClient

  /** @param folder of the run, for mongod's data and output */
  static async start(folder: string, port: number, env: NodeJS.ProcessEnv): Promise<KillableDatabase> {
    const database = new KillableDatabase(await mongodFile(), folder, port, env)
    mkdirSync(database.data)
    database.spawn()
    await database.initiate()
    await database.primary()
    return database
  }

  private constructor(file: string, folder: string, port: number, env: NodeJS.ProcessEnv) {
    this.#file = file
    this.#folder = folder
    this.#port = port
    this.#env = env
    const address = `mongodb://127.0.0.1:${String(port)}`
    this.#admin = new MongoClient(`${address}/?directConnection=true&minHeartbeatFrequencyMS=50`)
    this.#client = new MongoClient(this.url)
  }

  /** With short timeouts, because mongod is killed again and again. */
  get url(): string {
    const timeouts = 'serverSelectionTimeoutMS=2000&connectTimeoutMS=2000&heartbeatFrequencyMS=500'
    return `mongodb://127.0.0.1:${String(this.#port)}/${NAME}?replicaSet=${REPLICA_SET}&${timeouts}`
  }

  /** Over the crash driver's own connection. */
  get db(): Db {
    return this.#client.db()
  }

  get pid(): number {
    return this.#mongod?.pid ?? -1
  }

  /**
   * Kills mongod, and starts it again after `milliseconds`. Resolves when it accepts writes again.
   *
   * @returns when mongod was killed, on the monotonic clock
   */
  async takeAway(milliseconds: number): Promise<number> {
    let isBack: () => void = () => undefined
    this.#back = new Promise(resolve => (isBack = resolve))
    await Promise.all(this.#needed)
    const from = monotonicNow()
    await this.kill()
    await pause(milliseconds)
    this.spawn()
    await this.primary()
    isBack()
    return from
  }

  /** Runs without an outage. For a server that boots: a client whose very first command fails stays unusable. */
  async whileThere(run: () => Promise<void>): Promise<void> {
    await this.#back
    const running = run().finally(() => this.#needed.delete(running))
    this.#needed.add(running)
    await running
  }

  /** How many tasks are unfinished, without those of schedules, which never end. @throws while mongod is down */
  unfinished(): Promise<number> {
    return this.tasks.countDocuments({ ...WITHOUT_TICKS, state: { $in: ['scheduled', 'waiting', 'running'] } })
  }

  /** All tasks in the queue that are not done. */
  async left(): Promise<LeftTask[]> {
    const left = { ...WITHOUT_TICKS, state: { $ne: 'done' } }
    return this.tasks.find(left, { projection: { 'data.payload': 0 } }).toArray()
  }

  /** Stores the schedules of an app that has no master. */
  async addOtherApp(): Promise<void> {
    const schedules = [{ name: 'kept', task: { taskType: 'tick', data: {} }, nextAt: null }]
    await this.sets.insertOne({ _id: OTHER_APP, revision: 1, paused: [], schedules })
  }

  /** The names of the schedules of this app, and of the other. @throws while mongod is down */
  async schedules(): Promise<{ readonly own: string; readonly other: string }> {
    const [own, other] = await Promise.all([APP, OTHER_APP].map(_id => this.sets.findOne({ _id })))
    const names = (set: StoredSet | null | undefined) =>
      (set?.schedules ?? []).filter(({ removedAt }) => removedAt === undefined).map(({ name }) => name)
    return { own: names(own).sort().join(), other: names(other).join() }
  }

  /** The pids of the masters that are busy. @throws while mongod is down */
  async busyMasters(): Promise<ReadonlySet<number>> {
    const before = new Set((await this.claims()).map(({ token }) => token))
    await pause(BUSY_AFTER_MS)
    const kept = (await this.claims()).filter(({ token }) => before.has(token))
    return new Set(kept.map(({ pid }) => pid))
  }

  /** Whether this master claims another task within `milliseconds`. */
  async claimsWithin(pid: number, milliseconds: number): Promise<boolean> {
    const claims = async () => (await this.claims()).filter(claim => claim.pid === pid)
    const before = new Set((await claims()).map(({ token }) => token))
    return comesTrue(async () => (await claims()).some(({ token }) => !before.has(token)), milliseconds)
  }

  private async claims(): Promise<readonly { readonly token: string; readonly pid: number }[]> {
    const projection = { token: '$claim.token', pid: '$claim.owner.pid' }
    return this.tasks.find<{ token: string; pid: number }>({ state: 'running' }, { projection }).toArray()
  }

  async stop(): Promise<void> {
    await Promise.all([this.#client.close(), this.#admin.close()])
    await this.kill()
  }

  private async kill(): Promise<void> {
    const mongod = this.#mongod
    this.#mongod = undefined
    if (mongod === undefined) return
    const exit = once(mongod, 'exit')
    mongod.kill('SIGKILL')
    await within(exit, 'the exit of mongod')
  }

  private get sets(): Collection<StoredSet> {
    return this.db.collection<StoredSet>('taskQueueSchedules')
  }

  private get tasks(): Collection<LeftTask> {
    return this.db.collection<LeftTask>('taskQueue')
  }

  private get data(): string {
    return path.join(this.#folder, 'data')
  }

  private spawn(): void {
    const output = openSync(path.join(this.#folder, 'mongod.log'), 'a')
    const args = [
      '--replSet',
      REPLICA_SET,
      '--dbpath',
      this.data,
      '--port',
      String(this.#port),
      '--bind_ip',
      '127.0.0.1',
    ]
    this.#mongod = spawn(this.#file, [...args, ...MONGOD_ARGS], {
      stdio: ['ignore', output, output],
      env: { ...process.env, ...this.#env },
      // Ctrl-C must reach the driver alone, which ends all other processes.
      detached: true,
    })
  }

  private async initiate(): Promise<void> {
    const members = [{ _id: 0, host: `127.0.0.1:${String(this.#port)}` }]
    const replSetInitiate = { _id: REPLICA_SET, members, settings: { electionTimeoutMillis: 500 } }
    await this.#admin.db('admin').command({ replSetInitiate })
  }

  private async primary(): Promise<void> {
    await eventually('mongod is primary', () =>
      this.#admin
        .db('admin')
        .command({ hello: 1 })
        .then(
          reply => reply.isWritablePrimary === true,
          () => false,
        ),
    )
  }
}

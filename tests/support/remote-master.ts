import { getPriority } from 'node:os'
import { errorFromWire, fromWire } from '../../common/pipe/wire'
import type { ClusterOptions, NewTask, Task } from 'meteor/nschwarz:cluster'
import { TestDatabase } from './database'
import { Gate } from './gate'
import { anyPort } from './ports'
import { type Calls, OPTIONS_VARIABLE } from './remote-protocol'
import { type NoticeOf, RemoteServer } from './remote-server'

export interface MasterSettings {
  /** Default: one worker of the tests' own priority, which other load must not starve, ticks of 50 ms, a free port. */
  readonly options?: Omit<ClusterOptions, 'messageBroker'> & {
    readonly withoutBroker?: true
    /** With `limitedTaskMap`. */
    readonly withLimits?: true
    /** An app that uses the queue and has no master: a web-only process. */
    readonly withoutCluster?: true
  }
  readonly env?: NodeJS.ProcessEnv
  /** Where it is started. */
  readonly cwd?: string
  /** Default: a database of its own, which is dropped with the master. */
  readonly database?: TestDatabase
}

/** The event with which a task ended. */
type Ending = Omit<NoticeOf<'done' | 'error'>, 'wire'> & { readonly value: unknown }

/** A whole Meteor server as a master, in a process of its own, driven over its pipe. */
export class RemoteMaster extends RemoteServer {
  readonly database: TestDatabase
  readonly #ownsDatabase: boolean
  #calls = 0

  static async start(settings: MasterSettings = {}): Promise<RemoteMaster> {
    const defaults = { maxAvailableWorkers: 1, refreshRate: 50, workerPriority: getPriority(), port: await anyPort() }
    const options = { ...defaults, ...settings.options }
    const master = new RemoteMaster(settings, options)
    await master.notice('started')
    return master
  }

  private constructor({ cwd, database, env }: MasterSettings, options: object) {
    const used = database ?? new TestDatabase()
    super('remote', { MONGO_URL: used.url, [OPTIONS_VARIABLE]: JSON.stringify(options), ...env }, cwd)
    this.database = used
    this.#ownsDatabase = database === undefined
  }

  async call<Method extends keyof Calls>(
    method: Method,
    ...args: Parameters<Calls[Method]>
  ): Promise<Awaited<ReturnType<Calls[Method]>>> {
    const id = this.#calls++
    this.send({ call: { id, method, args } })
    const find = () => this.notices('returned', 'threw').find(notice => notice.id === id)
    await this.until(`the return of ${method}`, () => find() !== undefined)
    const reply = find() as NoticeOf<'returned' | 'threw'>
    if (reply.event === 'threw') throw errorFromWire(reply.error)
    return reply.value as Awaited<ReturnType<Calls[Method]>>
  }

  addTask(task: NewTask): Promise<string> {
    return this.call('addTask', task)
  }

  /** The task in whichever queue it is. */
  async find(_id: string, inMemory: boolean): Promise<Partial<Task> | undefined> {
    if (inMemory) return this.call('findById', _id)
    return (await this.database.tasks.findOne({ _id })) ?? undefined
  }

  /** Whether a task is claimed. */
  async isRunning(_id: string, inMemory = false): Promise<boolean> {
    return (await this.find(_id, inMemory))?.state === 'running'
  }

  /** Adds a task and waits for the event with which it ends. */
  async run(task: NewTask): Promise<Ending> {
    return this.ending(await this.addTask(task))
  }

  /** The result of a task that is to succeed. */
  async resultOf(task: NewTask): Promise<unknown> {
    const { event, value } = await this.run(task)
    if (event === 'error') throw value as Error
    return value
  }

  /** The event with which a task ends, or ended. */
  async ending(taskId: string): Promise<Ending> {
    const find = () => this.notices('done', 'error').find(({ task }) => task._id === taskId)
    await this.until(`the end of task ${taskId}`, () => find() !== undefined)
    return toEnding(find() as NoticeOf<'done' | 'error'>)
  }

  /** All tasks that ended so far, in the order of their events. */
  get endings(): Ending[] {
    return this.notices('done', 'error').map(toEnding)
  }

  /** The tasks that have started, in the order in which the master heard of it, until the last one has. */
  async startedUntil(last: string): Promise<string[]> {
    await this.written(new RegExp(`:${last}\tstarted`))
    return this.starts
  }

  /** Until `output` has all that the master has written so far: events come through another pipe. */
  async caughtUp(): Promise<void> {
    const mark = `call ${String(this.#calls)} prints this`
    await this.call('print', mark)
    await this.written(new RegExp(mark))
  }

  /** The `_id`s of the tasks that have started, once for each start, as far as that has come through. */
  get starts(): string[] {
    return [...this.output.matchAll(/:nschwarz:cluster:[^:\s]+:(\S+)\tstarted/g)].map(match => match[1] ?? '')
  }

  /** Until the n-th run of a `hold` task waits for `release`. @returns the worker's pid */
  async held(taskId: string, count = 1): Promise<number> {
    const runs = () => this.notices('held').filter(notice => notice.taskId === taskId)
    await this.until(`run ${String(count)} of task ${taskId}`, () => runs().length >= count)
    return runs()[count - 1]?.pid ?? -1
  }

  /** Ends the master if it lives, and drops its database if it is its own. */
  async stop(): Promise<void> {
    if (!this.hasExited) await this.kill()
    if (this.#ownsDatabase) await this.database.drop()
  }
}

function toEnding({ wire, ...notice }: NoticeOf<'done' | 'error'>): Ending {
  return { ...notice, value: fromWire(wire) }
}

/** Starts a master for one test, and ends it whatever happens. */
export async function withMaster(
  settings: MasterSettings,
  test: (master: RemoteMaster) => Promise<void>,
): Promise<void> {
  const master = await RemoteMaster.start(settings)
  try {
    await test(master)
  } finally {
    await master.stop()
  }
}

/** Gives a test a database that outlives the masters on it. */
export async function withDatabase(test: (database: TestDatabase) => Promise<void>): Promise<void> {
  const database = new TestDatabase()
  try {
    await test(database)
  } finally {
    await database.drop()
  }
}

/** Gives a test a master with warm workers that reaches its database through a gate. */
export async function behindGate(
  options: NonNullable<MasterSettings['options']>,
  test: (master: RemoteMaster, gate: Gate) => Promise<void>,
): Promise<void> {
  const gate = await Gate.open(process.env.MONGO_URL ?? '')
  try {
    await withDatabase(async database => {
      const env = { MONGO_URL: gate.urlOf(database.name) }
      await withMaster({ database, env, options: { keepAlive: 'always', ...options } }, master => test(master, gate))
    })
  } finally {
    await gate.close()
  }
}

let shared: Promise<RemoteMaster> | undefined

/** A master with two warm workers, for all tests that leave it as they found it. */
export function sharedMaster(): Promise<RemoteMaster> {
  shared ??= RemoteMaster.start({ options: { keepAlive: 'always', maxAvailableWorkers: 2, refreshRate: 150 } })
  return shared
}

export async function stopSharedMaster(): Promise<void> {
  await (await shared)?.stop()
  shared = undefined
}

/** What clients see over Meteor's own DDP. The stand-in for Meteor has none, so there these tests do not exist. */
import type { Task } from 'meteor/nschwarz:cluster'
import { Mongo } from 'meteor/mongo'
import { Tinytest } from 'meteor/tinytest'
import { anyPort } from './support/ports'
import { type RemoteMaster, withMaster } from './support/remote-master'
import { LOG_IN, OWN_TASKS } from './support/remote-protocol'
import { eventually, within } from './support/wait'

interface Connection {
  callAsync(method: string, ...args: unknown[]): Promise<unknown>
  disconnect(): void
  subscribe(name: string, fields: object, callbacks: { onReady: () => void; onStop: (error?: Error) => void }): void
}

interface Ddp {
  connect(url: string): Connection
}

declare const Package: Readonly<Record<string, { readonly DDP?: Ddp } | undefined>>

const ddp = Package.ddp?.DDP ?? Package['ddp-client']?.DDP

/** A client that is logged in as this user, or as nobody. */
class Client {
  readonly #connection: Connection
  readonly #tasks: Mongo.Collection<Task>

  constructor(connection: Connection) {
    this.#connection = connection
    const options: object = { connection, defineMutationMethods: false }
    this.#tasks = new Mongo.Collection<Task>('taskQueue', options)
  }

  async follow(userId: string | null): Promise<void> {
    await this.#connection.callAsync(LOG_IN, userId)
    const ready = new Promise<void>((resolve, reject) => {
      const onStop = (error?: Error) => {
        reject(error ?? new Error('the subscription was stopped'))
      }
      this.#connection.subscribe(OWN_TASKS, { result: 1 }, { onReady: resolve, onStop })
    })
    await within(ready, 'the subscription is ready')
  }

  sees(): Promise<Partial<Task>[]> {
    return this.#tasks.find().fetchAsync()
  }

  /** @returns how the server answers what a client of an insecure app may try */
  async tries(method: string): Promise<unknown> {
    try {
      return await this.#connection.callAsync(`/taskQueue/${method}`, {}, {})
    } catch (error) {
      return (error as { error?: unknown }).error
    }
  }

  disconnect(): void {
    this.#connection.disconnect()
  }
}

async function withClients(
  server: Ddp,
  users: readonly (string | null)[],
  test: (master: RemoteMaster, clients: readonly Client[]) => Promise<void>,
): Promise<void> {
  const oplog = new URL(process.env.MONGO_URL ?? '')
  oplog.pathname = '/local'
  const env = { PORT: String(await anyPort()), MONGO_OPLOG_URL: oplog.href }
  await withMaster({ env, options: { keepAlive: 'always' } }, async master => {
    const clients = users.map(() => new Client(server.connect(`http://127.0.0.1:${env.PORT}`)))
    try {
      for (const [index, userId] of users.entries()) await clients[index]?.follow(userId)
      await test(master, clients)
    } finally {
      for (const client of clients) client.disconnect()
    }
  })
}

if (ddp !== undefined) {
  Tinytest.addAsync('ddp - each user sees their own tasks to their end, and nothing else of the queue', async test => {
    await withClients(ddp, ['ada', 'bob', null], async (master, [ada, bob, nobody]) => {
      const later = new Date(Date.now() + 3_600_000)
      await master.addTask({ taskType: 'echo', data: {}, dueDate: later })
      await master.addTask({ taskType: 'echo', data: {}, dueDate: later, audience: 'bob', _id: 'of bob' })
      const task = { taskType: 'report', data: { values: [7], holds: true }, audience: ['ada', 'the team'] }
      const _id = await master.addTask(task)
      await master.held(_id)
      await eventually('ada sees its progress', async () => (await ada?.sees())?.[0]?.progress === 7)
      await master.call('release', _id)
      await eventually('ada sees its end', async () => (await ada?.sees())?.[0]?.state === 'done')
      const [seen, ...others] = (await ada?.sees()) ?? []
      test.equal([seen?._id, seen?.result, others], [_id, 'reported', []])
      const shown = ['_id', 'attempts', 'audience', 'createdAt', 'endedAt', 'progress', 'result', 'startedAt', 'state']
      test.equal(Object.keys(seen ?? {}).sort(), [...shown, 'taskType'])
      test.equal(
        (await bob?.sees())?.map(each => each._id),
        ['of bob'],
      )
      test.equal(await nobody?.sees(), [])
    })
  })

  Tinytest.addAsync('ddp - clients can call no method of the queue', async test => {
    await withClients(ddp, ['ada'], async (_master, [ada]) => {
      for (const method of ['insert', 'update', 'remove', 'upsert', 'insertAsync', 'updateAsync', 'removeAsync']) {
        test.equal(await ada?.tries(method), 404, method)
      }
    })
  })
}

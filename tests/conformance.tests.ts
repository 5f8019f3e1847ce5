/**
 * What the package relies on in Meteor, checked on whatever runs these tests: on Meteor they say that the facts still
 * hold, on the stand-in that it is true to them.
 */
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { once } from 'node:events'
import path from 'node:path'
import { Meteor } from 'meteor/meteor'
import { Mongo } from 'meteor/mongo'
import { Random } from 'meteor/random'
import { Tinytest } from 'meteor/tinytest'
import { WebApp } from 'meteor/webapp'
import { RemoteServer } from './support/remote-server'
import { eventually } from './support/wait'

declare const __meteor_bootstrap__: { readonly serverDir: string; readonly startupHooks: unknown }

interface Probe {
  readonly _id?: string
  readonly bytes?: Uint8Array
  readonly count?: number
}

const collection = new Mongo.Collection<Probe>('conformance')

/** What ran at start-up, in its order. */
const startup: string[] = []

Meteor.startup(async () => {
  startup.push('first begins')
  Meteor.startup(() => startup.push('added by the first'))
  await new Promise(resolve => setImmediate(resolve))
  startup.push('first ends')
})
Meteor.startup(() => {
  startup.push('second')
})

Tinytest.add('conformance - startup hooks run one by one, and one added meanwhile goes to the end', test => {
  test.equal(startup, ['first begins', 'first ends', 'second', 'added by the first'])
})

Tinytest.add('conformance - after start-up a hook is called at once', test => {
  let isCalled = false
  Meteor.startup(() => {
    isCalled = true
  })
  test.isTrue(isCalled)
})

Tinytest.add('conformance - main.js is two folders above serverDir, and inserted program.json', test => {
  test.isTrue(existsSync(path.resolve(__meteor_bootstrap__.serverDir, '../../main.js')))
  test.equal(process.argv[2], 'program.json')
})

Tinytest.add('conformance - a test of packages is known as one', test => {
  const { isAppTest, isPackageTest, isTest } = Meteor as unknown as Record<string, unknown>
  test.equal([isTest, isAppTest, isPackageTest], [false, false, true])
})

Tinytest.add('conformance - APP_ID names the app', test => {
  test.matches(process.env.APP_ID ?? '', /^[\w.]+$/)
})

Tinytest.add('conformance - onListening calls at once when the server listens', test => {
  let isCalled = false
  WebApp.onListening(() => {
    isCalled = true
  })
  test.isTrue(isCalled)
})

Tinytest.add('conformance - Random.id gives 17 characters that are not easily confused', test => {
  test.matches(Random.id(), /^[2-9A-HJ-NP-Za-km-z]{17}$/)
})

Tinytest.addAsync('conformance - Meteor.setInterval repeats until it is cleared', async test => {
  let count = 0
  const interval = Meteor.setInterval(() => count++, 1)
  await eventually('it has been called three times', () => count >= 3)
  Meteor.clearInterval(interval)
  const counted = count
  // Intervals of the same length that are set later are called later.
  await new Promise<void>(resolve => {
    const later = Meteor.setInterval(() => {
      Meteor.clearInterval(later)
      resolve()
    }, 1)
  })
  test.equal(count, counted)
})

Tinytest.addAsync('conformance - a collection inserts, finds, updates and removes asynchronously', async test => {
  const _id = await collection.insertAsync({ count: 1 })
  test.equal(await collection.findOneAsync(_id), { _id, count: 1 })
  test.equal(await collection.updateAsync(_id, { $set: { count: 2 } }), 1)
  test.equal(await collection.find({ _id }).fetchAsync(), [{ _id, count: 2 }])
  test.equal(await collection.find({ _id }, { fields: { _id: 1 } }).fetchAsync(), [{ _id }])
  test.equal(await collection.find({ _id }).countAsync(), 1)
  test.equal(await collection.removeAsync({ _id }), 1)
  test.isUndefined(await collection.findOneAsync(_id))
})

Tinytest.addAsync('conformance - binary comes out of a collection as a Uint8Array', async test => {
  const _id = await collection.insertAsync({ bytes: new Uint8Array([1, 2]) })
  const found = await collection.findOneAsync(_id)
  test.isTrue(found?.bytes instanceof Uint8Array)
  test.equal([...(found?.bytes ?? [])], [1, 2])
  await collection.removeAsync(_id)
})

Tinytest.addAsync('conformance - an _id that is taken is an error with the code 11000', async test => {
  const _id = await collection.insertAsync({})
  await test.throwsAsync(
    () => collection.rawCollection().insertOne({ _id }),
    error => (error as Error & { code?: unknown }).code === 11_000,
  )
  await collection.removeAsync(_id)
})

Tinytest.add('conformance - the synchronous names throw on the server', test => {
  test.throws(() => collection.findOne(), /is not available on the server/)
  test.throws(() => collection.remove({}), /is not available on the server/)
})

Tinytest.addAsync('conformance - null over the pipe ends a server, which is why it is never sent', async test => {
  const server = new RemoteServer('remote', {})
  await server.notice('started')
  server.send(null as unknown as object)
  await server.exited()
  test.matches(server.output, /Cannot read properties of null/)
})

Tinytest.addAsync('conformance - a port in use ends a server', async test => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const server = new RemoteServer('remote', { PORT: String((taken.address() as { port: number }).port) })
  await server.exited()
  test.matches(server.output, /EADDRINUSE/)
  taken.close()
})

Tinytest.addAsync('conformance - a server exits when the database is away at its start', async () => {
  const MONGO_URL = 'mongodb://127.0.0.1:1/none?serverSelectionTimeoutMS=100'
  await new RemoteServer('remote', { MONGO_URL }).exited()
})

Tinytest.addAsync('conformance - a server exits when the process that METEOR_PARENT_PID names is gone', async test => {
  const server = new RemoteServer('remote', { METEOR_PARENT_PID: String(2 ** 22 + 1) })
  await server.exited()
  test.matches(server.output, /Parent process is dead! Exiting\./)
})

/** Runs the Tinytest suites: on the Meteor tool if it is installed, else on the stand-in. */
import path from 'node:path'
import type { Count } from './count'
import { execute } from './execute'
import { type Database, onDatabaseOfItsOwn } from './mongod'
import { ROOT, hasMeteor } from './setup.js'
import { DRIVER_VARIABLE, NO_DATABASE_VARIABLE, SHARD_VARIABLE } from './stand-in/programs/server/variables'
import { standInForAppTests, standInForTests } from './stand-in/start'
import { SUITES_VARIABLE } from '../tests/support/remote-protocol'

/** The proxy of the Meteor tool. */
const METEOR_PORT = '3100'

/** What depends on how the driver reads and writes. */
const ON_DRIVER_4 = ['storage - ', 'faults - persistent: a document ']

/** With what the names of the example's own tests begin. */
const EXAMPLE = 'example - '
const EXAMPLE_APP = path.join(ROOT, 'example')

/** How many processes share all tests. */
const SHARDS = 6

/**
 * Node reads the certificates that this variable names at each boot: two thirds of the boot of an empty program, a
 * thousand times. The servers of tests speak TLS to nobody, except perhaps to a database that MONGO_URL names.
 */
const WITHOUT_CERTIFICATES = process.env.MONGO_URL ? {} : { NODE_EXTRA_CA_CERTS: undefined }

/** Nothing listens there: the suites of pure modules never connect. */
const NO_DATABASE = 'mongodb://127.0.0.1:1/none'

/** The suites of pure modules, without a database. */
export function pureSuites(): Promise<Count> {
  const { command, args, env } = standInForTests()
  const needsNone = { [SUITES_VARIABLE]: 'pure', [NO_DATABASE_VARIABLE]: '1', MONGO_URL: NO_DATABASE }
  return count(command, args, { ...env, ...needsNone, PORT: '0' })
}

/** @param filter part of the names of the tests to run; '' runs all */
export async function allSuites(database: Database, filter: string): Promise<Count[]> {
  const where = hasMeteor() ? 'the Meteor tool' : 'the stand-in for Meteor (the Meteor tool is not installed)'
  console.log(`\nTinytest suites on ${where}, MongoDB: ${database.origin}`)
  if (hasMeteor()) return [await onMeteor(database, filter)]
  const again = ON_DRIVER_4.filter(suite => suite.includes(filter) || filter.includes(suite))
  if (again.length > 0) console.log(`On the driver of Meteor 3.0 (mongodb 4.17) run too: ${again.join(', ')}`)
  const onDriver4 = again.map(suite =>
    onStandIn(database, filter.includes(suite) ? filter : suite, { [DRIVER_VARIABLE]: '4' }),
  )
  if (filter.startsWith(EXAMPLE)) return [await onStandIn(database, filter, {}, EXAMPLE_APP)]
  const ofExample = filter === '' ? [onStandIn(database, filter, {}, EXAMPLE_APP)] : []
  return Promise.all([...onDriver4, ...ofExample, ...inShards(database, filter)])
}

/** Much of the time is spent waiting: several processes share the tests, unless there are only a few. */
function inShards(database: Database, filter: string): Promise<Count>[] {
  const shards = filter === '' ? SHARDS : 1
  return Array.from({ length: shards }, (_, index) => {
    return onStandIn(database, filter, { [SHARD_VARIABLE]: `${String(index + 1)}/${String(shards)}` })
  })
}

/** @param app whose tests to run; without one, those of the package */
function onStandIn(database: Database, filter: string, env: NodeJS.ProcessEnv, app?: string): Promise<Count> {
  const { command, args, env: needed } = app === undefined ? standInForTests() : standInForAppTests(app)
  return onDatabaseOfItsOwn(database.url, MONGO_URL =>
    count(command, args, { ...needed, ...env, ...WITHOUT_CERTIFICATES, MONGO_URL, TINYTEST_FILTER: filter, PORT: '0' }),
  )
}

function onMeteor(database: Database, filter: string): Promise<Count> {
  const args = ['test-packages', './', '--once', '--driver-package', 'local:cluster-test-driver', '--port', METEOR_PORT]
  // The driver package is found by the folder that holds its folder.
  const packages = [path.join(ROOT, 'tools'), process.env.METEOR_PACKAGE_DIRS].filter(Boolean).join(path.delimiter)
  return onDatabaseOfItsOwn(database.url, MONGO_URL =>
    count('meteor', args, { MONGO_URL, TINYTEST_FILTER: filter, METEOR_PACKAGE_DIRS: packages }),
  )
}

/** Runs a driver, and reads what it says of each test. */
async function count(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Count> {
  const { code, output } = await execute(command, args, env, true)
  const [, passed = '0', failed = '0'] = [...output.matchAll(/(\d+) passed, (\d+) failed/g)].at(-1) ?? []
  const names = [...new Set([...output.matchAll(/^(?:.*\(STD\w+\) |.*\? )?FAIL (.*)$/gm)].map(([, name = '']) => name))]
  // A driver that exits without a count, or with an exit code that does not go with it, is a failure of its own.
  const isBroken = (code === 0) !== (failed === '0' && passed !== '0') || names.length !== Number(failed)
  if (isBroken) names.push(`the test driver exited with code ${String(code)}, ${passed} passed, ${failed} failed`)
  return { passed: Number(passed), failed: names }
}

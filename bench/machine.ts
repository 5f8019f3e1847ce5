import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import os from 'node:os'
import path from 'node:path'
import { MongoClient } from 'mongodb'

const ROOT = path.resolve(import.meta.dirname, '..')
const PEERS = path.join(ROOT, 'bench/peers')

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memory: string
  readonly system: string
}

export function describeMachine(): Machine {
  return {
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.availableParallelism(),
    memory: `${(os.totalmem() / 2 ** 30).toFixed(0)} GB`,
    system: `${os.type()} ${os.release()} (${os.arch()})`,
  }
}

/** The versions of Node, of the databases, of this package and of its peers. */
export async function readVersions(
  databaseUrl: string | undefined,
  origins: Readonly<Record<string, string>>,
): Promise<Record<string, string>> {
  return {
    node: process.versions.node,
    cluster: versionIn(path.join(ROOT, 'package.json')),
    ...(databaseUrl === undefined ? {} : { mongod: await mongodVersion(databaseUrl) }),
    'mongodb (driver of cluster and floor)': versionIn(path.join(ROOT, 'node_modules/mongodb/package.json')),
    ...origins,
    ...peerVersions(),
  }
}

async function mongodVersion(url: string): Promise<string> {
  const client = await MongoClient.connect(url)
  try {
    const { version } = await client.db().admin().buildInfo()
    return String(version)
  } finally {
    await client.close()
  }
}

function peerVersions(): Record<string, string> {
  const { dependencies } = createRequire(import.meta.url)(path.join(PEERS, 'package.json')) as {
    dependencies: Record<string, string>
  }
  return Object.fromEntries(
    Object.keys(dependencies)
      .map(name => [name, path.join(PEERS, 'node_modules', name, 'package.json')] as const)
      .filter(([, file]) => existsSync(file))
      .map(([name, file]) => [name, versionIn(file)]),
  )
}

function versionIn(file: string): string {
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}

import { startDatabase } from '../../tools/mongod'
import type { DatabaseKind } from '../subjects/programs'
import { startPostgres } from './postgres'
import { startRedis } from './redis'

export interface Server {
  readonly url: string
  /** What it is, for the console and the document. */
  readonly origin: string
  stop(): Promise<void>
}

/** The database servers: each in a temporary folder, on a free port of loopback. */
export class Databases {
  readonly #servers: ReadonlyMap<DatabaseKind, Server>

  private constructor(servers: ReadonlyMap<DatabaseKind, Server>) {
    this.#servers = servers
  }

  /** Starts the servers that are needed. Redis and PostgreSQL are left out if they are not installed. */
  static async start(kinds: ReadonlySet<DatabaseKind>): Promise<Databases> {
    const starts = { mongodb: startDatabase, redis: startRedis, postgresql: startPostgres }
    const servers = new Map<DatabaseKind, Server>()
    const databases = new Databases(servers)
    try {
      for (const kind of kinds) {
        const server = await starts[kind]()
        if (server !== undefined) servers.set(kind, server)
        console.log(`${kind}: ${server?.origin ?? 'not installed here; the subjects that need it are left out'}`)
      }
      return databases
    } catch (error) {
      await databases.stop()
      throw error
    }
  }

  urlOf(kind: DatabaseKind): string | undefined {
    return this.#servers.get(kind)?.url
  }

  origins(): Record<string, string> {
    return Object.fromEntries([...this.#servers].map(([kind, { origin }]) => [kind, origin]))
  }

  async stop(): Promise<void> {
    // Ctrl-C reaches the servers too, so it is no failure if one has already exited.
    await Promise.allSettled([...this.#servers.values()].map(server => server.stop()))
  }
}

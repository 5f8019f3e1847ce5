import { startDatabase } from '../../tools/mongod'
import type { DatabaseKind } from '../subjects/programs'
import { startPostgres } from './postgres'
import { startRedis } from './redis'

export interface Server {
  readonly url: string
  /** What it is, for the screen and the document. */
  readonly origin: string
  stop(): Promise<void>
}

/** The database servers: each in a temporary folder, on a free port of loopback. */
export class Databases {
  readonly #servers: ReadonlyMap<DatabaseKind, Server>

  private constructor(servers: ReadonlyMap<DatabaseKind, Server>) {
    this.#servers = servers
  }

  /** Those that are needed; of another than MongoDB only where it is installed. */
  static async start(kinds: ReadonlySet<DatabaseKind>): Promise<Databases> {
    const starts = { mongodb: startDatabase, redis: startRedis, postgresql: startPostgres }
    const servers = new Map<DatabaseKind, Server>()
    const databases = new Databases(servers)
    try {
      for (const kind of kinds) {
        const server = await starts[kind]()
        if (server !== undefined) servers.set(kind, server)
        console.log(`${kind}: ${server?.origin ?? 'not installed here; what runs on it is left out'}`)
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
    // Ctrl-C has reached them too: one that is gone already is no failure.
    await Promise.allSettled([...this.#servers.values()].map(server => server.stop()))
  }
}

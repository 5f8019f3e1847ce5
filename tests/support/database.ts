import { MongoInternals } from 'meteor/mongo'
import { Random } from 'meteor/random'
import type { Collection, Db, MongoClient } from 'mongodb'

/** Random for each run, since another may use the same server. */
const PREFIX = `cluster-test-${Random.id(6)}-`

type Document = Record<string, unknown> & { _id: string }

/** A database of a test's own, on the server that MONGO_URL names. */
export class TestDatabase {
  readonly name = `${PREFIX}${Random.id()}`

  get db(): Db {
    return client().db(this.name)
  }

  get tasks(): Collection<Document> {
    return this.db.collection('taskQueue')
  }

  get pauses(): Collection<Document> {
    return this.db.collection('taskQueuePauses')
  }

  /** MONGO_URL with this database in place of its own. */
  get url(): string {
    const url = new URL(process.env.MONGO_URL ?? '')
    url.pathname = `/${this.name}`
    return url.href
  }

  async drop(): Promise<void> {
    await this.db.dropDatabase()
  }
}

/** Those of this run that are still there. */
export async function databasesOfTests(): Promise<string[]> {
  const { databases } = await client().db().admin().listDatabases({ nameOnly: true })
  return databases.map(({ name }) => name).filter(name => name.startsWith(PREFIX))
}

function client(): MongoClient {
  const { mongo } = MongoInternals.defaultRemoteCollectionDriver() as unknown as { mongo: { client: MongoClient } }
  return mongo.client
}

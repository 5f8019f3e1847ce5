import { MongoInternals } from 'meteor/mongo'
import { Random } from 'meteor/random'
import type { Collection, Db, MongoClient } from 'mongodb'

type Document = Record<string, unknown> & { _id: string }

/** A database of a test's own, on the server that MONGO_URL names. */
export class TestDatabase {
  readonly name = `cluster-test-${Random.id()}`

  get db(): Db {
    return client().db(this.name)
  }

  get tasks(): Collection<Document> {
    return this.db.collection('taskQueue')
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

function client(): MongoClient {
  const { mongo } = MongoInternals.defaultRemoteCollectionDriver() as unknown as { mongo: { client: MongoClient } }
  return mongo.client
}

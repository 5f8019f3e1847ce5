/**
 * meteor/mongo on a server: the asynchronous collection methods over MongoDB's own driver, in the version that
 * DRIVER_VARIABLE selects.
 */
import path from 'node:path'
import type { Collection as RawCollection, Document, Filter, MongoClient, UpdateFilter } from 'mongodb'
import type * as Driver from 'mongodb'
import type { Mongo as Real } from 'meteor/mongo'
import { runCached } from '../cached-script'
import { DRIVER_VARIABLE, NO_DATABASE_VARIABLE } from '../variables'
import { Meteor } from './meteor'
import { Random } from './random'

const driverName = process.env[DRIVER_VARIABLE] === '4' ? 'mongodb-4' : 'mongodb'
const driverFile = path.join(__meteor_bootstrap__.serverDir, '../../../drivers', `${driverName}.cjs`)
const driver = runCached(driverFile) as typeof Driver

type Selector = string | Filter<Document>
type FindOptions = Pick<Driver.FindOptions, 'sort' | 'skip' | 'limit' | 'projection'> & { readonly fields?: Document }

class ObjectID {
  readonly _str: string
  constructor(hexString: string) {
    this._str = hexString
  }
  toHexString(): string {
    return this._str
  }
}

const mongo = connect()

function connect(): { readonly client: MongoClient } {
  const { MONGO_URL } = process.env
  if (MONGO_URL === undefined) throw new Error('MONGO_URL must be set in environment')
  const client = new driver.MongoClient(MONGO_URL, { ignoreUndefined: true })
  // As Meteor does: a server that cannot connect dies. The driver does not try again if its first connection fails.
  if (process.env[NO_DATABASE_VARIABLE] === undefined) Meteor.startup(() => client.connect())
  return { client }
}

class Cursor {
  readonly #collection: RawCollection
  readonly #selector: Filter<Document>
  readonly #options: FindOptions

  constructor(collection: RawCollection, selector: Selector = {}, options: FindOptions = {}) {
    this.#collection = collection
    this.#selector = toFilter(selector)
    const { fields, ...others } = options
    this.#options = fields === undefined ? others : { projection: fields, ...others }
  }

  async fetchAsync(): Promise<Document[]> {
    const documents = await this.#collection.find(this.#selector, this.#options).toArray()
    return documents.map(document => fromMongo(document) as Document)
  }

  async countAsync(): Promise<number> {
    return this.#collection.countDocuments(this.#selector)
  }
}

interface CollectionOptions {
  readonly defineMutationMethods?: boolean
  readonly _preventAutopublish?: boolean
}

class Collection {
  readonly _name: string

  constructor(name: string, options: CollectionOptions = {}) {
    this._name = name
    if (options.defineMutationMethods !== false) {
      for (const method of ['insertAsync', 'updateAsync', 'removeAsync']) {
        Meteor.server.method_handlers[`/${name}/${method}`] = () => undefined
      }
    }
    if ('autopublish' in Package && options._preventAutopublish !== true) {
      Meteor.server.publish(null, () => this.find())
    }
  }

  rawCollection(): RawCollection {
    return this.rawDatabase().collection(this._name)
  }

  rawDatabase() {
    return mongo.client.db()
  }

  find(selector?: Selector, options?: FindOptions): Cursor {
    return new Cursor(this.rawCollection(), selector, options)
  }

  async findOneAsync(selector?: Selector, options?: FindOptions): Promise<Document | undefined> {
    const [document] = await this.find(selector, { ...options, limit: 1 }).fetchAsync()
    return document
  }

  async insertAsync(document: Document): Promise<string> {
    const _id = (document._id as string | undefined) ?? Random.id()
    await this.rawCollection().insertOne({ ...document, _id } as Document)
    return _id
  }

  async updateAsync(
    selector: Selector,
    modifier: UpdateFilter<Document>,
    { multi = false, upsert = false }: { multi?: boolean; upsert?: boolean } = {},
  ): Promise<number> {
    const raw = this.rawCollection()
    const filter = toFilter(selector)
    const result = await (multi
      ? raw.updateMany(filter, modifier, { upsert })
      : raw.updateOne(filter, modifier, { upsert }))
    return result.matchedCount + result.upsertedCount
  }

  async removeAsync(selector: Selector): Promise<number> {
    return (await this.rawCollection().deleteMany(toFilter(selector))).deletedCount
  }

  async createIndexAsync(keys: Record<string, 1 | -1>, options?: object): Promise<void> {
    await this.rawCollection().createIndex(keys, options)
  }

  async countDocuments(selector: Selector = {}): Promise<number> {
    return this.rawCollection().countDocuments(toFilter(selector))
  }
}

/** On a Meteor 3 server these methods exist, and throw (packages/mongo/collection.js). */
for (const method of ['insert', 'update', 'upsert', 'remove', 'findOne', 'createIndex', 'dropIndex']) {
  Object.defineProperty(Collection.prototype, method, {
    value() {
      throw new Error(`${method} is not available on the server. Please use ${method}Async() instead.`)
    },
  })
}

function toFilter(selector: Selector): Filter<Document> {
  return typeof selector === 'string' ? ({ _id: selector } as unknown as Filter<Document>) : selector
}

/** Meteor's reads replace BSON types by its own (packages/mongo/mongo_driver.js, replaceMongoAtomWithMeteor). */
function fromMongo(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(fromMongo)
  if (typeof value !== 'object' || value === null || value instanceof Date || value instanceof RegExp) return value
  switch ((value as { _bsontype?: string })._bsontype) {
    case undefined:
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fromMongo(item)]))
    case 'Binary':
      return new Uint8Array((value as { buffer: Uint8Array }).buffer)
    case 'ObjectID':
    case 'ObjectId':
      return new ObjectID((value as { toHexString(): string }).toHexString())
    default:
      return value
  }
}

export const Mongo = { Collection, ObjectID } satisfies Record<
  keyof Pick<typeof Real, 'Collection' | 'ObjectID'>,
  unknown
>

export const MongoInternals = {
  defaultRemoteCollectionDriver: () => ({ mongo }),
  NpmModules: { mongodb: { module: driver } },
}

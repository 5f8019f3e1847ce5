/** Where the types of the drivers 4 and 6 differ: an application's Meteor may have either. */
import { MongoInternals } from 'meteor/mongo'
import { AS_IN_MEMORY, DURABLE, type Filter, type RawCollection, type StoredTask } from './schema'
import type { Pipeline } from './updates'

interface Options {
  readonly projection?: object
  readonly sort?: object
}

/** Updates one task. @returns the task as it is then, or null when there was none */
export async function findOneAndUpdate(
  tasks: RawCollection,
  filter: Filter,
  update: Pipeline,
  given: Options = {},
): Promise<StoredTask | null> {
  // Driver 4 always gives { value }, driver 6 only when asked.
  const options = { ...DURABLE, returnDocument: 'after', includeResultMetadata: true, ...AS_IN_MEMORY, ...given }
  type Method = (...args: readonly object[]) => Promise<{ readonly value: StoredTask | null }>
  const method = tasks.findOneAndUpdate.bind(tasks) as unknown as Method
  return (await method(filter, update, options)).value
}

interface Bson {
  calculateObjectSize(document: object, options: { readonly ignoreUndefined: boolean }): number
}

/** Bytes of BSON. @throws when the driver cannot encode the document */
export function sizeOf(document: object): number {
  const { BSON } = MongoInternals.NpmModules.mongodb.module as unknown as { readonly BSON: Bson }
  return BSON.calculateObjectSize(document, { ignoreUndefined: true })
}

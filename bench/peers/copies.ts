import { inBatches } from '../batches'
import { type Collection, type Document, ObjectId } from 'mongodb'

const INSERTED_AT_ONCE = 1000

/** Copies the one document that the library has written, up to `count`. Adding by the library would take minutes. */
export async function fillWithCopies(collection: Collection, count: number): Promise<void> {
  const original = await collection.findOne()
  if (original === null) throw new Error('there is no document to copy')
  await inBatches(count - 1, INSERTED_AT_ONCE, length =>
    collection.insertMany(Array.from({ length }, (): Document => ({ ...original, _id: new ObjectId() }))),
  )
}

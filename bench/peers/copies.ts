import { type Collection, type Document, ObjectId } from 'mongodb'

const INSERTED_AT_ONCE = 1000

/** Makes so many of the one document that the library itself has written: its own way of adding would take minutes. */
export async function fillWithCopies(collection: Collection, count: number): Promise<void> {
  const original = await collection.findOne()
  if (original === null) throw new Error('there is no document to copy')
  for (let added = 1; added < count; added += INSERTED_AT_ONCE) {
    const size = Math.min(INSERTED_AT_ONCE, count - added)
    await collection.insertMany(Array.from({ length: size }, (): Document => ({ ...original, _id: new ObjectId() })))
  }
}

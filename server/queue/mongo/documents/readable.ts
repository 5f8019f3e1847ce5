/** Tasks that the driver cannot decode: other code may have written any BSON. */
import type { RawCollection, StoredTask } from './schema'

/** The data is the part that most likely cannot be read. */
const WITHOUT_DATA = { data: 0 } as const
const NAME_ONLY = { taskType: 1, state: 1, createdAt: 1, sequence: 1, 'claim.token': 1 } as const

/** The driver's own errors are about the connection or the server. What it throws while it decodes is none of them. */
export function isDecodingError(error: unknown): boolean {
  const { name } = error as { name?: unknown }
  return !(typeof name === 'string' && name.startsWith('Mongo'))
}

/** The task as far as it can be read, with empty data. */
export async function readableOf(tasks: RawCollection, _id: string): Promise<StoredTask | undefined> {
  const read = (projection: object) => tasks.findOne({ _id }, { projection })
  const found = await read(WITHOUT_DATA).catch(() => read(NAME_ONLY))
  return found === null ? undefined : { ...found, data: {} }
}

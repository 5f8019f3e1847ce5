import { DURABLE, type Filter, type RawCollection, inOneReply, isRefusedByRule } from './schema'
import type { Pipeline } from './updates'

/** The most tasks that are updated one by one after a refusal. */
const MAX_SINGLES = 1000

export interface RefusalListener {
  /** A rule of the application, a unique index or a validator, refuses a change of this task. */
  taskRefused(_id: string, error: unknown): void
}

/**
 * Updates many tasks. One whose change a rule of the application refuses is left as it is, and holds up no other.
 *
 * @returns how many matched the filter and were not refused
 * @throws if an update fails for another reason
 */
export async function updateAllowed(
  tasks: RawCollection,
  filter: Filter,
  update: Pipeline,
  listener: RefusalListener,
  options: object = {},
): Promise<number> {
  try {
    return (await tasks.updateMany(filter, update, { ...DURABLE, ...options })).matchedCount
  } catch (error) {
    if (!isRefusedByRule(error)) throw error
  }
  // The update has reached those before the first refused one.
  const left = { projection: { _id: 1 }, limit: MAX_SINGLES, ...inOneReply(MAX_SINGLES) } as const
  const found = await tasks.find(filter, left).toArray()
  const updateOne = async (_id: string) => {
    const result = await ifAllowed(_id, listener, () => tasks.updateOne({ ...filter, _id }, update, DURABLE))
    return result?.matchedCount ?? 0
  }
  const counts = await Promise.all(found.map(({ _id }) => updateOne(_id)))
  return counts.reduce((sum, count) => sum + count, 0)
}

/** Changes one task. @returns as `change`, or undefined if a rule of the application refuses it */
export async function ifAllowed<Value>(
  _id: string,
  listener: RefusalListener,
  change: () => Promise<Value>,
): Promise<Value | undefined> {
  try {
    return await change()
  } catch (error) {
    if (!isRefusedByRule(error)) throw error
    listener.taskRefused(_id, error)
    return undefined
  }
}

import { DURABLE, type Filter, type RawCollection, inOneReply, isRefusedByRule } from './schema'
import type { Pipeline } from './updates'

/** After a refusal, so many tasks are updated one by one at most. */
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
  // Those before the first that was refused are updated already.
  const left = { projection: { _id: 1 }, limit: MAX_SINGLES, ...inOneReply(MAX_SINGLES) } as const
  const found = await tasks.find(filter, left).toArray()
  const counts = await Promise.all(found.map(({ _id }) => updateIfAllowed(tasks, { ...filter, _id }, update, listener)))
  return counts.reduce((sum, count) => sum + count, 0)
}

async function updateIfAllowed(
  tasks: RawCollection,
  filter: Filter & { readonly _id: string },
  update: Pipeline,
  listener: RefusalListener,
): Promise<number> {
  try {
    return (await tasks.updateOne(filter, update, DURABLE)).matchedCount
  } catch (error) {
    if (!isRefusedByRule(error)) throw error
    listener.taskRefused(filter._id, error)
    return 0
  }
}

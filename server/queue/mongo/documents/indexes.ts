import { isDeepStrictEqual } from 'node:util'
import { TASK_ORDER } from '../../../../common/order'
import { type RawCollection, isRefusal } from './schema'

type IndexOptions = NonNullable<Parameters<RawCollection['createIndex']>[1]>

interface Index {
  /** Our own name: the one that MongoDB would choose may belong to an index of the application. */
  readonly name: string
  readonly key: Record<string, 1 | -1>
  readonly options: Pick<IndexOptions, 'expireAfterSeconds' | 'partialFilterExpression'>
}

/** An index that could not be created. */
export interface MissingIndex {
  readonly name: string
  readonly error: unknown
}

/**
 * Each state has an index that holds only this state. So claiming or finishing a task touches as few entries as
 * possible, and failed tasks that are kept have none there. The filters also distinguish these indexes from those of
 * the application with the same keys.
 */
const INDEXES: readonly Index[] = [
  // For claims: equality on the first two fields, then the order of all tasks, so there is no range and no sort. With
  // `_id` at the end, MongoDB reads no document.
  forState('waiting', 'cluster_waiting', { state: 1, taskType: 1, ...TASK_ORDER, _id: 1 }),
  forState('scheduled', 'cluster_scheduled', { state: 1, dueDate: 1, _id: 1 }),
  forState('running', 'cluster_running', { state: 1, 'claim.expiresAt': 1 }),
  // Documents of 2.x, which have no state.
  forState(null, 'cluster_stateless', { state: 1 }),
  // For `TaskQueue.counts`: only tasks that are kept after their end are in it.
  {
    name: 'cluster_ended',
    key: { state: 1, taskType: 1 },
    options: { partialFilterExpression: { endedAt: { $exists: true } } },
  },
  // For `TaskQueue.findFor`: only the tasks that have an audience are in it.
  {
    name: 'cluster_audience',
    key: { audience: 1 },
    options: { partialFilterExpression: { audience: { $exists: true } } },
  },
  // MongoDB itself removes each task at its `removeAt`.
  {
    name: 'cluster_removal',
    key: { removeAt: 1 },
    options: { expireAfterSeconds: 0, partialFilterExpression: { removeAt: { $type: 'date' } } },
  },
]

function forState(state: string | null, name: string, key: Index['key']): Index {
  return { name, key, options: { partialFilterExpression: { state } } }
}

/**
 * Creates the missing indexes. It changes no index that exists, whoever made it.
 *
 * @returns the indexes that MongoDB refuses to create, and why
 * @throws when the database does not answer (rejects)
 */
export async function createIndexes(tasks: RawCollection): Promise<MissingIndex[]> {
  const existing = await listIndexes(tasks)
  const missing: MissingIndex[] = []
  for (const index of INDEXES) {
    if (existing.some(other => isAsGoodAs(other, index))) continue
    const { name, key, options } = index
    try {
      await tasks.createIndex(key, { ...options, name })
    } catch (error) {
      if (!isRefusal(error)) throw error
      missing.push({ name, error })
    }
  }
  return missing
}

type Existing = Readonly<Record<string, unknown>>

/**
 * Returns none when there is no collection yet. It also returns none when the user may not list indexes: creating one
 * that exists changes nothing.
 */
async function listIndexes(tasks: RawCollection): Promise<readonly Existing[]> {
  try {
    return await tasks.indexes()
  } catch (error) {
    if (!isRefusal(error)) throw error
    return []
  }
}

/**
 * Whether an existing index does the same, whatever its name. An earlier version did not name its indexes, and made the
 * one on `removeAt` sparse.
 */
function isAsGoodAs(existing: Existing, { key, options }: Index): boolean {
  const { expireAfterSeconds, partialFilterExpression, unique = false } = existing
  const isTtl = options.expireAfterSeconds !== undefined && partialFilterExpression === undefined
  return (
    isDeepStrictEqual(Object.entries(existing.key as object), Object.entries(key)) &&
    expireAfterSeconds === options.expireAfterSeconds &&
    (isTtl || isDeepStrictEqual(partialFilterExpression, options.partialFilterExpression)) &&
    unique === false
  )
}

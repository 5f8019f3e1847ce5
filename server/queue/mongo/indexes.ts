import { isDeepStrictEqual } from 'node:util'
import { TASK_ORDER } from '../../../common/order'
import type { RawCollection } from './schema'

type IndexOptions = NonNullable<Parameters<RawCollection['createIndex']>[1]>

interface Index {
  /** Of our own: the name that MongoDB would choose may be that of an index of the application's. */
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
 * Each holds one state only: a task that is claimed, and one that is done, costs no more entries than it must, and what
 * is kept of failed tasks none at all. The filters also keep them apart from indexes of the application's with the same
 * keys.
 */
const INDEXES: readonly Index[] = [
  // Taking the next tasks: equality on the first two, then the order of all tasks, so no range and no sort; and their
  // _id, so no document is read.
  forState('waiting', 'cluster_waiting', { state: 1, taskType: 1, ...TASK_ORDER, _id: 1 }),
  forState('scheduled', 'cluster_scheduled', { state: 1, dueDate: 1, _id: 1 }),
  forState('running', 'cluster_running', { state: 1, 'claim.expiresAt': 1 }),
  // Documents of 2.x, which have no state.
  forState(null, 'cluster_stateless', { state: 1 }),
  // MongoDB itself removes what has been kept for long enough.
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
 * Creates the indexes that are missing. It touches none that is there, whoever made it.
 *
 * @returns those that MongoDB refuses to create, and why
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
 * None where there is no collection yet. A user who may not list them may still create them: those that are there stay.
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
 * Whether an index does the same, whatever its name: an earlier version gave it none, and made that of `removeAt`
 * sparse.
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

/** MongoDB's codes for a member that is not the primary any more, or shuts down: another will answer. */
const TRANSIENT = [91, 189, 10_107, 11_600, 11_602, 13_435]

/** MongoDB answered, but with an error. */
function isRefusal(error: unknown): boolean {
  const { code } = error as { code?: unknown }
  return typeof code === 'number' && !TRANSIENT.includes(code)
}

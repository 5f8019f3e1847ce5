/** For how long ended tasks are kept, in either queue. */
import type { Task } from '../../common/task'
import type { Definitions } from '../../common/task-map'
import { isSet } from './mongo/documents/expressions'

/** A task that is watched is kept for at least this long, so that all who watch it see how it ended. */
export const WATCHED_KEPT_MS = 60_000

/** Whether a process waits for the end of the task, or an audience follows it. */
export function isWatched({ audience, awaited }: Pick<Task, 'audience' | 'awaited'>): boolean {
  return (awaited ?? undefined) !== undefined || (audience ?? undefined) !== undefined
}

/**
 * How long a failed or cancelled task is kept: as the task says, or its type, or the cluster. If none says so, it is
 * kept for good, unless it was added by `TaskQueue.run`, whose caller got the error.
 */
export class Retention {
  #keepFailed: number | null = null
  #ofTypes: ReadonlyMap<string, number> = new Map()

  /** Called once this process has a cluster. @param keepFailed the option of the cluster */
  configure(definitions: Definitions, keepFailed: number | null): void {
    this.#keepFailed = keepFailed
    this.#ofTypes = new Map(
      [...definitions].flatMap(([taskType, { keepFailed: ofType }]) =>
        ofType === undefined ? [] : [[taskType, ofType] as const],
      ),
    )
  }

  /** @returns milliseconds, or null for good */
  keepFailedOf({ keepFailed, runBy, taskType }: Task): number | null {
    const ofCluster = this.#keepFailed ?? ((runBy ?? undefined) === undefined ? null : WATCHED_KEPT_MS)
    return keepFailed ?? this.#ofTypes.get(taskType) ?? ofCluster
  }

  /** `keepFailedOf` as a MongoDB expression. */
  get keepFailedExpression(): object {
    const ofCluster = this.#keepFailed ?? { $cond: [isSet('$runBy'), WATCHED_KEPT_MS, null] }
    const branches = [...this.#ofTypes].map(([taskType, keepFailed]) => ({
      case: { $eq: ['$taskType', { $literal: taskType }] },
      then: keepFailed,
    }))
    const ofType = branches.length === 0 ? ofCluster : { $switch: { branches, default: ofCluster } }
    return { $ifNull: ['$keepFailed', ofType] }
  }
}

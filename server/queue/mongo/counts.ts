import { checkNames, numberHint, wrongValue } from '../../../common/invalid'
import { isPlainObject } from '../../../common/plain'
import { isCount } from '../../../common/policy'
import { type TaskState, checkText } from '../../../common/task'
import type { Filter, RawCollection } from './documents/schema'

/** How many persistent tasks there are in each state. A number that is equal to the limit means at least so many. */
export interface TaskCounts extends Readonly<Record<TaskState, number>> {
  /**
   * When the oldest of the waiting tasks was due; undefined if none waits. Of more than the limit: of those counted.
   */
  readonly oldestDueDate: Date | undefined
}

export interface CountOptions {
  /** Default: all types. */
  readonly taskType?: string
  /** How many tasks of each state are counted at most, from 1. Default 10,000. */
  readonly limit?: number
}

const DEFAULT_LIMIT = 10_000
const UNFINISHED = ['scheduled', 'running'] as const
const ENDED = ['failed', 'cancelled', 'done'] as const

/** @throws InvalidArgumentError */
export function checkCountOptions(options: unknown): CountOptions {
  if (!isPlainObject(options)) {
    const hint = typeof options === 'string' ? `Use { taskType: '${options}' }.` : ''
    throw wrongValue('counts.options', options, 'an object { taskType, limit }', hint)
  }
  checkNames('counts.options.', options, 'option', ['taskType', 'limit'])
  const { limit, taskType } = options
  if (limit !== undefined && !isCount(limit)) {
    throw wrongValue('counts.options.limit', limit, 'an integer from 1', numberHint(limit, isCount))
  }
  if (taskType !== undefined) checkText('counts.options.taskType', taskType)
  return options
}

/**
 * Each state is counted by its index. With a `taskType`, the scheduled and running tasks of other types are read, too.
 */
export async function countTasks(
  tasks: RawCollection,
  { limit = DEFAULT_LIMIT, taskType }: CountOptions,
): Promise<TaskCounts> {
  const ofType = taskType === undefined ? {} : { taskType }
  const count = async (state: TaskState, more: Filter = {}) =>
    [state, await tasks.countDocuments({ state, ...ofType, ...more }, { limit })] as const
  const [waiting, ...others] = await Promise.all([
    countWaiting(tasks, ofType, limit),
    ...UNFINISHED.map(state => count(state)),
    ...ENDED.map(state => count(state, { endedAt: { $exists: true } })),
  ])
  const counted = Object.fromEntries(others) as Record<Exclude<TaskState, 'waiting'>, number>
  return { ...counted, ...waiting }
}

async function countWaiting(
  tasks: RawCollection,
  ofType: Filter,
  limit: number,
): Promise<Pick<TaskCounts, 'waiting' | 'oldestDueDate'>> {
  const [found] = await tasks
    .aggregate<{ readonly waiting: number; readonly oldestDueDate: Date }>([
      { $match: { state: 'waiting', ...ofType } },
      { $limit: limit },
      { $group: { _id: null, waiting: { $sum: 1 }, oldestDueDate: { $min: '$dueDate' } } },
      { $project: { _id: 0 } },
    ])
    .toArray()
  return found ?? { waiting: 0, oldestDueDate: undefined }
}

/** Which tasks `TaskQueue.findFor` finds, and which of their fields. */
import { checkNames, wrongValue } from '../../common/invalid'
import { isPlainObject } from '../../common/plain'
import { type Task, checkText } from '../../common/task'

/** Beside these, a publication shows what its options name. */
const SHOWN = [
  'taskType',
  'state',
  'progress',
  'attempts',
  'createdAt',
  'startedAt',
  'endedAt',
  'audience',
] as const satisfies readonly (keyof Task)[]

/** What may be named. A task also has fields that are for masters only. */
const NAMEABLE = ['data', 'result', 'error.message', 'log', 'dueDate', 'priority', 'failures', 'cancelledAt'] as const

export interface FindForOptions {
  /**
   * The fields to show, beside `taskType`, `state`, `progress`, `attempts`, `createdAt`, `startedAt`, `endedAt` and
   * `audience`. Default: none.
   */
  readonly fields?: { readonly [Field in (typeof NAMEABLE)[number]]?: 1 | true }
  /** Only tasks of this type. Default: of all. */
  readonly taskType?: string
}

/** The arguments of `Collection.find`. */
export interface Query {
  readonly selector: object
  readonly fields: Readonly<Record<string, 1>>
  /** The same fields of all tasks that have an audience, `audience` included; undefined if nothing is found. */
  readonly ofAll: { readonly audience: string; readonly key: string; readonly selector: object } | undefined
}

/**
 * @param audience null: none, as `this.userId` of a publication is for a client that is not logged in
 * @throws InvalidArgumentError: the driver would ignore a condition that is undefined, and find everybody's tasks
 */
// Invariant 11: only the tasks of this audience, and no field that is for masters only.
export function queryFor(audience: unknown, options: unknown): Query {
  const { fields, taskType } = checkOptions(options)
  const ofType = taskType === undefined ? {} : { taskType }
  const shown = Object.fromEntries([...SHOWN, ...Object.keys(fields ?? {})].map(field => [field, 1 as const]))
  if (audience === null) return { selector: { _id: { $in: [] } }, fields: shown, ofAll: undefined }
  checkAudience(audience)
  const ofAll = {
    audience,
    key: JSON.stringify([taskType, Object.keys(shown).sort()]),
    selector: { audience: { $exists: true }, ...ofType },
  }
  return { selector: { audience, ...ofType }, fields: shown, ofAll }
}

function checkAudience(audience: unknown): asserts audience is string {
  const hint = audience === undefined ? 'Give null for a client that is not logged in.' : ''
  if (typeof audience !== 'string' || audience === '') {
    throw wrongValue('findFor.audience', audience, 'a non-empty string, or null', hint)
  }
  checkText('findFor.audience', audience)
}

function checkOptions(options: unknown): FindForOptions {
  if (!isPlainObject(options)) throw wrongValue('findFor.options', options, 'an object { fields, taskType }')
  checkNames('findFor.options.', options, 'option', ['fields', 'taskType'])
  const { fields = {}, taskType } = options
  if (!isPlainObject(fields)) throw wrongValue('findFor.options.fields', fields, 'an object of field names, each 1')
  checkNames('findFor.options.fields: ', fields, 'field that may be shown', NAMEABLE)
  for (const [field, value] of Object.entries(fields)) {
    if (value !== 1 && value !== true) throw wrongValue(`findFor.options.fields.${field}`, value, '1')
  }
  if (taskType !== undefined) checkText('findFor.options.taskType', taskType)
  return options
}

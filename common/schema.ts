/** Checks data by the schema of its task type (https://standardschema.dev). */
import { InvalidDataError } from './errors'
import { isThenable, read } from './inspect'
import type { SchemaIssue, SchemaResult, StandardSchema } from './register'

export function isSchema(value: unknown): value is StandardSchema {
  // Those of ArkType are functions.
  const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function'
  if (!isObject) return false
  const standard = read(value, '~standard')
  return typeof standard === 'object' && standard !== null && typeof read(standard, 'validate') === 'function'
}

/**
 * @param where as in InvalidDataError
 * @returns what the schema makes of the data
 * @throws InvalidDataError (rejects) if the data does not fit, or what the schema itself throws
 */
export async function parse(schema: StandardSchema, taskType: string, data: unknown, where?: string): Promise<unknown> {
  const checked = schema['~standard'].validate(data)
  const result: SchemaResult = isThenable(checked) ? await checked : checked
  if (result.issues === undefined) return result.value
  throw new InvalidDataError(taskType, result.issues.map(textOf), where)
}

function textOf({ message, path = [] }: SchemaIssue): string {
  const keys = path.map(part => String(typeof part === 'object' ? part.key : part))
  return `data${keys.map(key => `.${key}`).join('')}: ${message}`
}

/** Of MongoDB's aggregation language. */

export function inMilliseconds(milliseconds: number): object {
  return { $add: ['$$NOW', milliseconds] }
}

export function orElse(condition: object, value: string, fallback: unknown): object {
  return { $cond: [condition, value, fallback] }
}

export function isNumber(path: string): object {
  return { $isNumber: path }
}

export function isOfType(path: string, type: string): object {
  return { $eq: [{ $type: path }, type] }
}

/** Within a pipeline, strings that begin with $ would be read as paths. */
export function literal(value: unknown): object {
  return { $literal: value }
}

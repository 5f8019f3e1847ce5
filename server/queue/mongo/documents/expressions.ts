/** MongoDB's aggregation language. */

/** In a pipeline, MongoDB would read strings that begin with $ as paths. */
export function literal(value: unknown): object {
  return { $literal: value }
}

/** @param milliseconds a number, or an expression that yields one */
export function inMilliseconds(milliseconds: number | string | object): object {
  return { $add: ['$$NOW', milliseconds] }
}

export function orElse(condition: object, value: string, fallback: unknown): object {
  return { $cond: [condition, value, fallback] }
}

export function isNumber(value: string | object): object {
  return { $isNumber: value }
}

/** So long that it is for good, and a date that many milliseconds from now is still one. */
const MAX_DURATION_MS = 2 ** 52

/** Other code may have written any number. */
export function isDuration(value: string): object {
  return { $and: [isNumber(value), { $gte: [value, 0] }, { $lte: [value, MAX_DURATION_MS] }] }
}

export function isOfType(path: string, type: string): object {
  return { $eq: [{ $type: path }, type] }
}

/** Whether the field has a value. A missing field sorts before null. */
export function isSet(path: string): object {
  return { $gt: [path, null] }
}

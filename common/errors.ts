/**
 * The package's error classes, and how any error crosses the pipe between master and worker.
 *
 * Every error of the package has a `name` and a `code`, so that an application can tell them apart without
 * `instanceof` (an error that came from a worker is rebuilt, and is not an instance of its original class).
 */

import { serialize } from 'node:v8'

/** An argument, option or task field that is not allowed. Nothing was stored or sent. */
export class InvalidArgumentError extends TypeError {
  override readonly name = 'InvalidArgumentError'
  readonly code = 'ERR_CLUSTER_INVALID_ARGUMENT'
  /** The field at fault, for instance `addTask.priority`. */
  readonly field: string

  constructor(field: string, given: unknown, allowed: string) {
    super(`nschwarz:cluster: ${field} is ${describe(given)}; allowed: ${allowed}.`)
    this.field = field
  }
}

/** A task with this `_id` is already in the queue. Nothing was stored. */
export class DuplicateTaskError extends Error {
  override readonly name = 'DuplicateTaskError'
  readonly code = 'ERR_CLUSTER_DUPLICATE_TASK'

  constructor(taskId: string, options?: ErrorOptions) {
    super(
      `nschwarz:cluster: a task with the _id ${describe(taskId)} is already in the queue; ` +
        'remove it first, or choose another _id.',
      options,
    )
  }
}

/** The call is not possible in this process: on a worker, without a `new Cluster`, or with a second one. */
export class WrongProcessError extends Error {
  override readonly name = 'WrongProcessError'
  readonly code = 'ERR_CLUSTER_WRONG_PROCESS'

  constructor(message: string) {
    super(`nschwarz:cluster: ${message}`)
  }
}

/** The task map of the worker has no function for this task's type. */
export class UnknownTaskTypeError extends Error {
  override readonly name = 'UnknownTaskTypeError'
  readonly code = 'ERR_CLUSTER_UNKNOWN_TASK_TYPE'

  constructor(taskType: string, known: readonly string[]) {
    super(
      `nschwarz:cluster: the task map has no function for the taskType ${describe(taskType)}; ` +
        `it has: ${known.map(describe).join(', ') || 'none'}.`,
    )
  }
}

/** A conversation opened with `toggleIPC` got no answer: there is no `messageBroker` on the master. */
export class NoMessageBrokerError extends Error {
  override readonly name = 'NoMessageBrokerError'
  readonly code = 'ERR_CLUSTER_NO_MESSAGE_BROKER'

  constructor() {
    super(
      'nschwarz:cluster: the master has no messageBroker to answer this task; ' +
        'give one to the constructor: new Cluster(taskMap, { messageBroker }).',
    )
  }
}

/** A value (a result, a message, an answer) holds something that cannot be sent to another process. */
export class UnsendableValueError extends TypeError {
  override readonly name = 'UnsendableValueError'
  readonly code = 'ERR_CLUSTER_UNSENDABLE_VALUE'

  constructor(what: string, cause: unknown) {
    super(
      `nschwarz:cluster: ${what} cannot be sent to another process (${messageOf(cause)}); ` +
        'allowed: what structured clone keeps, that is no functions, symbols or promises.',
      { cause },
    )
  }
}

/** An error as it travels: the structured clone algorithm would drop its name, code and fields. */
export interface WireError {
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  /** Own enumerable fields that can be sent, `code` among them, and `details` of a `Meteor.Error`. */
  readonly fields: Readonly<Record<string, unknown>>
  readonly cause: WireValue | undefined
}

/** Any value as it travels. An error at the top is taken apart; deeper ones keep what structured clone keeps. */
export type WireValue = { readonly value: unknown } | { readonly error: WireError }

/** Causes deeper than this are cut off, which also ends a chain that runs in a circle. */
const MAX_CAUSE_DEPTH = 8

/** What was thrown may be anything; the rest of the package only deals in errors. */
export function toError(thrown: unknown): Error {
  if (thrown instanceof Error) return thrown
  return new Error(typeof thrown === 'string' ? thrown : describe(thrown), { cause: thrown })
}

export function messageOf(thrown: unknown): string {
  return textOf(toError(thrown), 'message') ?? ''
}

export function toWire(value: unknown): WireValue {
  return value instanceof Error ? { error: errorToWire(value) } : { value }
}

export function fromWire(wire: WireValue): unknown {
  return 'error' in wire ? errorFromWire(wire.error) : wire.value
}

/** Never throws: an error may have getters that do, or a message that is no text. */
export function errorToWire(error: Error, depth = 0): WireError {
  return {
    name: textOf(error, 'name') ?? 'Error',
    message: textOf(error, 'message') ?? '',
    stack: textOf(error, 'stack'),
    fields: sendableFields(error),
    cause: causeToWire(read(error, 'cause'), depth + 1),
  }
}

function textOf(error: Error, field: 'name' | 'message' | 'stack'): string | undefined {
  const value = read(error, field)
  return typeof value === 'string' ? value : undefined
}

function read(error: Error, field: string): unknown {
  try {
    return (error as unknown as Record<string, unknown>)[field]
  } catch {
    return undefined
  }
}

function causeToWire(cause: unknown, depth: number): WireValue | undefined {
  if (cause === undefined || depth > MAX_CAUSE_DEPTH) return undefined
  if (cause instanceof Error) return { error: errorToWire(cause, depth) }
  return isSendable(cause) ? { value: cause } : { value: describe(cause) }
}

export function errorFromWire(wire: WireError): Error {
  const error = new Error(wire.message)
  defineHidden(error, 'name', wire.name)
  defineHidden(error, 'stack', wire.stack)
  if (wire.cause !== undefined) defineHidden(error, 'cause', fromWire(wire.cause))
  for (const [field, value] of Object.entries(wire.fields)) {
    Object.defineProperty(error, field, { value, enumerable: true, writable: true, configurable: true })
  }
  return error
}

/** `name`, `stack` and `cause` are not enumerable on an error that was born here either. */
function defineHidden(error: Error, field: string, value: unknown): void {
  Object.defineProperty(error, field, { value, enumerable: false, writable: true, configurable: true })
}

const TAKEN_APART = new Set(['name', 'message', 'stack', 'cause'])

/** `code` is named, since on some errors (AbortError) it stands on the prototype. */
function sendableFields(error: Error): Record<string, unknown> {
  const names = new Set([...Object.keys(error), 'code'])
  const fields = [...names].filter(name => !TAKEN_APART.has(name)).map(name => [name, read(error, name)] as const)
  return Object.fromEntries(fields.filter(([, value]) => value !== undefined && isSendable(value)))
}

/** By the serialization of the pipe, which refuses some values that structuredClone takes. */
function isSendable(value: unknown): boolean {
  try {
    serialize(value)
    return true
  } catch {
    return false
  }
}

/** A short, safe rendering of any value for an error message: `"abc" (string)`, `null`, `an array`. */
export function describe(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return `"${value.length > 60 ? `${value.slice(0, 60)}…` : value}" (string)`
    case 'number':
    case 'boolean':
      return `${String(value)} (${typeof value})`
    case 'bigint':
      return `${String(value)}n (bigint)`
    case 'undefined':
      return 'undefined'
    case 'symbol':
      return 'a symbol'
    case 'function':
      return 'a function'
    default:
      return describeObject(value as object | null)
  }
}

function describeObject(value: object | null): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (value instanceof Date && Number.isNaN(value.getTime())) return 'an invalid Date'
  const prototype = Object.getPrototypeOf(value) as { constructor?: { name?: unknown } } | null
  const name = prototype?.constructor?.name
  return typeof name === 'string' && name !== 'Object' && name !== '' ? `a ${name}` : 'an object'
}

/** How often a task is attempted, how long an attempt may take, and how long the pauses between them are. */
import { DELAY_ALLOWED, MAX_DELAY_MS, isDelay } from './delay'
import { checkNames, millisecondsHint, namesOf, numberHint, wrongValue } from './invalid'
import { isPlainObject } from './plain'

/** Node keeps the delay of a timer in 32 bits: a longer one overflows, and fires at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1

/** The pause before each further attempt. */
export interface BackoffPolicy {
  /** `fixed`: always `delay`. `exponential`: first `delay`, then doubled after each further failure. */
  readonly type: 'fixed' | 'exponential'
  /** Milliseconds, from 0. */
  readonly delay: number
  /** The longest pause, in milliseconds. Default: one hour, or `delay` if that is longer. */
  readonly maxDelay?: number
  /**
   * From 0 to 1: how much of the pause is random, so that tasks that failed together are not retried together. With
   * 0.5, the pause lies between half of its length and all of it. Default 0.
   */
  readonly jitter?: number
}

/** The pause: the same number of milliseconds each time, or a policy. */
export type Backoff = number | BackoffPolicy

/**
 * Returns the milliseconds until the next attempt, from 0. `failures` is the number of failed attempts. Called on the
 * master.
 */
export type BackoffFunction = (failures: number, error: Error) => number

/**
 * How a task is attempted. It is set for a task type in the task map, or for a single task in `addTask`, which wins.
 */
export interface AttemptPolicy {
  /** How often a failed task is retried, from 0. Default 0. */
  readonly retries?: number
  /** The pause before each retry. Default: exponential from one second up to one hour, a quarter of it random. */
  readonly backoff?: Backoff
  /**
   * Milliseconds for one attempt, 1 to 2^31 - 1. After that, the job's `signal` is aborted. If the job does not finish
   * within the `abortGrace` of the cluster, its worker is killed. The attempt fails with a TaskTimeoutError, unless the
   * function still returns within that grace. Default: no limit.
   */
  readonly timeout?: number
}

/** For how long a task is kept once it has ended. It is set for a task type or for a single task, which wins. */
export interface KeepPolicy {
  /**
   * Milliseconds for which a done task is kept, with its result, 1 to 2^52. Until then its `_id` is taken. Default: it
   * is removed at once.
   */
  readonly keepDone?: number
  /**
   * Milliseconds for which a failed or cancelled task is kept, 1 to 2^52. Default: the option `keepFailed` of the
   * cluster.
   */
  readonly keepFailed?: number
}

/** How a task is attempted, and for how long it is kept afterwards. */
export interface TaskPolicy extends AttemptPolicy, KeepPolicy {}

export const DEFAULT_BACKOFF: BackoffPolicy = { type: 'exponential', delay: 1000, jitter: 0.25 }

const DEFAULT_MAX_DELAY_MS = 3_600_000

/** With more doublings the factor is Infinity, and a delay of 0 becomes NaN. */
const MAX_DOUBLINGS = 1023

const RETRIES_ALLOWED = 'an integer from 0'
export const TIMER_ALLOWED = `milliseconds: an integer from 1 to ${String(MAX_TIMER_MS)}`
const KEPT_ALLOWED = 'milliseconds: an integer from 1 to 2^52'
const BACKOFF_ALLOWED = 'milliseconds, or { type, delay, maxDelay, jitter }'

/**
 * The policy within `given`, with only the fields that are set.
 *
 * @throws InvalidArgumentError naming `where` and the field
 */
export function checkPolicy(where: string, given: { readonly [Field in keyof TaskPolicy]?: unknown }): TaskPolicy {
  const { backoff, keepDone, keepFailed, retries, timeout } = given
  if (retries !== undefined) check(`${where}.retries`, retries, isRetries, RETRIES_ALLOWED, numberHint)
  if (backoff !== undefined) checkBackoff(`${where}.backoff`, backoff)
  if (timeout !== undefined) check(`${where}.timeout`, timeout, isTimer, TIMER_ALLOWED, millisecondsHint)
  for (const [field, value] of Object.entries({ keepDone, keepFailed })) {
    if (value !== undefined) check(`${where}.${field}`, value, isKeptTime, KEPT_ALLOWED, millisecondsHint)
  }
  return {
    ...(retries === undefined ? {} : { retries: retries as number }),
    ...(backoff === undefined ? {} : { backoff: (isPlainObject(backoff) ? { ...backoff } : backoff) as Backoff }),
    ...(timeout === undefined ? {} : { timeout: timeout as number }),
    ...(keepDone === undefined ? {} : { keepDone: keepDone as number }),
    ...(keepFailed === undefined ? {} : { keepFailed: keepFailed as number }),
  }
}

/** @param random a number from 0 to 1 */
export function delayOf(backoff: Backoff, failures: number, random: number): number {
  if (typeof backoff === 'number') return backoff
  const { type, delay, maxDelay = Math.max(delay, DEFAULT_MAX_DELAY_MS), jitter = 0 } = backoff
  const grown = type === 'fixed' ? delay : delay * 2 ** Math.min(failures - 1, MAX_DOUBLINGS)
  return Math.min(grown, maxDelay) * (1 - jitter * random)
}

export function isTimer(value: unknown): value is number {
  return isIntegerWithin(value, 1, MAX_TIMER_MS)
}

export function isIntegerWithin(value: unknown, least: number, most: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most
}

/** An integer from 1. */
export function isCount(value: unknown): boolean {
  return isIntegerWithin(value, 1, Number.MAX_SAFE_INTEGER)
}

function isKeptTime(value: unknown): boolean {
  return isIntegerWithin(value, 1, MAX_DELAY_MS)
}

function isRetries(value: unknown): boolean {
  return isIntegerWithin(value, 0, Number.MAX_SAFE_INTEGER)
}

const BACKOFF_FIELDS = namesOf<keyof BackoffPolicy>({ type: true, delay: true, maxDelay: true, jitter: true })

function checkBackoff(field: string, value: unknown): void {
  if (!isPlainObject(value)) {
    const hint = typeof value === 'function' ? 'A function goes into the task map.' : millisecondsHint(value, isDelay)
    if (!isDelay(value)) throw wrongValue(field, value, BACKOFF_ALLOWED, hint)
    return
  }
  checkNames(`${field}.`, value, 'field of a backoff', BACKOFF_FIELDS)
  const { type, delay, maxDelay = 0, jitter = 0 } = value
  if (type !== 'fixed' && type !== 'exponential') throw wrongValue(`${field}.type`, type, "'fixed' or 'exponential'")
  check(`${field}.delay`, delay, isDelay, DELAY_ALLOWED, millisecondsHint)
  check(`${field}.maxDelay`, maxDelay, isDelay, DELAY_ALLOWED, millisecondsHint)
  check(`${field}.jitter`, jitter, isJitter, 'a number from 0 to 1', numberHint)
}

function isJitter(value: unknown): boolean {
  return isDelay(value) && value <= 1
}

function check(
  field: string,
  value: unknown,
  accepts: (value: unknown) => boolean,
  allowed: string,
  hint: typeof numberHint,
): void {
  if (!accepts(value)) throw wrongValue(field, value, allowed, hint(value, accepts))
}

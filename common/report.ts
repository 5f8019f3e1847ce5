/** What a job reports while it runs, on its way to the master. */
import { InvalidArgumentError } from './errors'
import { wrongValue } from './invalid'
import { type Encoded, decode, encode } from './pipe/codec'
import { type PlainValue, copyPlain } from './plain'
import type { LogLine } from './task'
import { cutText } from './text'

/** Both fields may be missing. */
export interface Report {
  /** The last value of `context.progress`. */
  readonly progress?: Encoded
  /** The lines of `context.log`. `at`: milliseconds. */
  readonly lines?: readonly { readonly at: number; readonly text: string }[]
}

const MAX_PROGRESS_BYTES = 16 * 1024
const MAX_LINE_CHARACTERS = 4096

/** The most lines that a task's log keeps. */
export const MAX_LOG_LINES = 200

/** @throws InvalidArgumentError for a value that data could not hold, or that is too large */
export function encodeProgress(value: unknown): Encoded {
  if (value === undefined) throw wrongValue('context.progress', value, 'what data may hold', 'Use null.')
  const result = copyPlain(value)
  if ('fault' in result) {
    const { path, value: item, allowed, hint } = result.fault
    throw wrongValue(`context.progress${path}`, item, allowed, hint)
  }
  const encoded = encodeWithin(MAX_PROGRESS_BYTES, result.copy)
  if (encoded !== undefined) return encoded
  throw new InvalidArgumentError('context.progress', value, 'at most 16 KB', 'Store it elsewhere, and give its key.')
}

function encodeWithin(maxBytes: number, value: PlainValue): Encoded | undefined {
  try {
    const encoded = encode(value, maxBytes)
    // What travels as JSON was measured in characters.
    return 'v8' in encoded || Buffer.byteLength(JSON.stringify(value)) <= maxBytes ? encoded : undefined
  } catch {
    return undefined
  }
}

/** @throws InvalidArgumentError if `text` is not a string */
export function lineFor(text: unknown): { readonly at: number; readonly text: string } {
  if (typeof text !== 'string') throw wrongValue('context.log', text, 'a string', 'Use String(…) or JSON.stringify(…).')
  return { at: Date.now(), text: cutText(text, MAX_LINE_CHARACTERS) }
}

export function progressOf({ progress }: Report): { readonly value: PlainValue } | undefined {
  return progress === undefined ? undefined : { value: decode(progress) as PlainValue }
}

export function linesOf({ lines = [] }: Report): LogLine[] {
  return lines.map(({ at, text }) => ({ at: new Date(at), text }))
}

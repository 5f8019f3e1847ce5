/** Makes foreign texts safe for messages and log lines. */
import { toUSVString } from 'node:util'

/** Characters that would end a line, move the cursor, change colours or change the direction of writing. */
// eslint-disable-next-line no-control-regex -- these are what it looks for
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g

/** Without the flag `g`, with which `test` would continue after its last match. Twice as fast as `search`. */
const HAS_UNSAFE = new RegExp(UNSAFE.source)

const SHORT_ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

const INDENT = '    '

/** Cuts out the middle of a long text: a stack begins with the message, and ends with where it was thrown. */
export function cutText(text: string, maxCharacters: number): string {
  const excess = text.length - maxCharacters
  if (excess <= 0) return text
  const head = Math.ceil(maxCharacters / 2)
  const tail = maxCharacters - head
  const end = tail === 0 ? '' : text.slice(-tail)
  return `${text.slice(0, head)}… (${String(excess)} characters left out) …${end}`
}

/** The text on one line: line breaks and control characters are escaped. */
export function toOneLine(text: string): string {
  // Most texts have no unsafe character.
  return HAS_UNSAFE.test(text) ? text.replace(UNSAFE, escapeCharacter) : text
}

/** The text with its line breaks: all lines but the first are indented, and other control characters are escaped. */
export function toIndentedLines(text: string): string {
  const lines = text.split(/\r?\n/)
  return lines.map((line, index) => (index === 0 ? toOneLine(line) : indent(toOneLine(line)))).join('\n')
}

function indent(line: string): string {
  return line === '' || line.startsWith(' ') ? line : `${INDENT}${line}`
}

function escapeCharacter(character: string): string {
  const code = character.charCodeAt(0)
  const hex = code.toString(16)
  return SHORT_ESCAPES[character] ?? (code < 0x100 ? `\\x${hex.padStart(2, '0')}` : `\\u${hex.padStart(4, '0')}`)
}

/** For people: `0.05 s`, `1.2 s`, `90 s`, `3 min`, `5 h`, `3 days`. @param milliseconds from 0 */
export function textOfDuration(milliseconds: number): string {
  const seconds = milliseconds / 1000
  if (seconds < 120) return `${String(Number(seconds.toPrecision(seconds < 10 ? 2 : 3)))} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 120) return `${String(minutes)} min`
  const hours = Math.round(minutes / 60)
  return hours < 48 ? `${String(hours)} h` : `${String(Math.round(hours / 24))} days`
}

/** `1 task`, `2 tasks`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${String(count)} ${count === 1 ? one : many}`
}

/** The text without unpaired surrogates, as MongoDB stores it. (`String.prototype.toWellFormed` needs ES2024.) */
export function toWellFormed(text: string): string {
  return toUSVString(text)
}

import { randomInt } from 'node:crypto'

/** Meteor's, in the order of their character codes: no characters that look alike. */
const DIGITS = '23456789ABCDEFGHJKLMNPQRSTWXYZabcdefghijkmnopqrstuvwxyz'
const BASE = DIGITS.length

/** Milliseconds since 1970 fit in so many until the year 4600. */
const TIME_DIGITS = 8

/**
 * A new identifier, which looks as those of Meteor's `Random.id()`: 17 characters, of which the first 8 are the time
 * and 9 are random. So the entries of tasks that were added together are side by side in MongoDB's index of `_id`s,
 * however large that is. (Nor does it ask for random bytes 17 times: Meteor 3.0's takes 90 µs, this 1.)
 */
export function createId(): string {
  // In two parts: randomInt gives less than 2^48.
  return digits(Date.now(), TIME_DIGITS) + digits(randomInt(BASE ** 4), 4) + digits(randomInt(BASE ** 5), 5)
}

function digits(value: number, count: number): string {
  let [left, text] = [value, '']
  for (let place = 0; place < count; place++) {
    text = DIGITS.charAt(left % BASE) + text
    left = Math.floor(left / BASE)
  }
  return text
}

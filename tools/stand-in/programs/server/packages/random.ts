/** meteor/random. */
import { randomInt } from 'node:crypto'
import type { Random as Real } from 'meteor/random'

/** Meteor's alphabet: no characters that look alike (packages/random/AbstractRandomGenerator.js). */
const UNMISTAKABLE = '23456789ABCDEFGHJKLMNPQRSTWXYZabcdefghijkmnopqrstuvwxyz'

export const Random = {
  id(length = 17) {
    return Array.from({ length }, () => UNMISTAKABLE[randomInt(UNMISTAKABLE.length)]).join('')
  },
} satisfies Partial<typeof Real>

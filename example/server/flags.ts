/** The input: the flags of the npm package flag-icons, and one that is corrupt. */
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import { CORRUPT } from './corrupt-flag'

export interface Flag {
  readonly code: string
  readonly name: string
}

/**
 * Meteor has an app's npm packages in the folder `npm` below the one that the server runs in: links to them under
 * `meteor run`, copies in a bundle.
 */
const fromApp = createRequire(path.resolve('npm', 'package.json'))

const FLAG_ICONS = path.dirname(fromApp.resolve('flag-icons/package.json'))

/** Every flag of the package, by name, and the corrupt one at the end. */
export async function listFlags(): Promise<Flag[]> {
  const countries = JSON.parse(await readFile(path.join(FLAG_ICONS, 'country.json'), 'utf8')) as Flag[]
  const flags = countries.map(({ code, name }) => ({ code, name }))
  return [...flags.sort((a, b) => a.name.localeCompare(b.name)), { code: CORRUPT.code, name: CORRUPT.name }]
}

export async function readSvg(code: string): Promise<string> {
  if (code === CORRUPT.code) return CORRUPT.svg
  return readFile(path.join(FLAG_ICONS, 'flags', '4x3', `${code}.svg`), 'utf8')
}

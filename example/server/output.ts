/** Where the PNGs go: known to the master and to its workers without being told. */
import { createHash } from 'node:crypto'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

/**
 * Pixels. The largest is what takes the time: about 80 ms for a flag, against a few for taking its task from the queue
 * and writing down that it is done.
 */
export const WIDTHS = [160, 640, 1920] as const

/** One folder for each database: two runs on one database would take each other's tasks anyway. */
const database = createHash('sha256')
  .update(process.env.MONGO_URL ?? '')
  .digest('hex')

const ROOT = path.join(tmpdir(), `flags-of-the-world-${database.slice(0, 8)}`)

/** What the tasks render, a folder for each width. */
export const GALLERY = path.join(ROOT, 'gallery')

/** What the one process renders that the workers are compared with. */
export const BASELINE = path.join(ROOT, 'baseline')

export function widthFolder(folder: string, width: number): string {
  return path.join(folder, String(width))
}

/** Both folders, empty. */
export async function prepareOutput(): Promise<void> {
  await removeOutput()
  for (const folder of [GALLERY, BASELINE]) {
    for (const width of WIDTHS) await mkdir(widthFolder(folder, width), { recursive: true })
  }
}

export async function removeOutput(): Promise<void> {
  await rm(ROOT, { recursive: true, force: true })
}

/** How many flags are there in all widths: the last width is rendered last. */
export async function countRendered(folder: string): Promise<number> {
  return (await readdir(widthFolder(folder, WIDTHS[2]))).length
}

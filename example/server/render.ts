import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { readSvg } from './flags'
import { WIDTHS, widthFolder } from './output'

/**
 * Renders a flag to a PNG in each width.
 *
 * @throws when the SVG cannot be read
 */
export async function renderFlag(code: string, folder: string): Promise<void> {
  // Here, and not at the top, so that the master never loads it, nor a worker before its first flag.
  const { Resvg } = await import('@resvg/resvg-js')
  const svg = await readSvg(code)
  for (const width of WIDTHS) {
    const resvg = new Resvg(svg, { fitTo: { mode: 'width', value: width }, font: { loadSystemFonts: false } })
    await writeFile(path.join(widthFolder(folder, width), `${code}.png`), resvg.render().asPng())
  }
}

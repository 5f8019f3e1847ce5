/** The few shapes that the plots are made of. */
export interface Size {
  readonly width: number
  readonly height: number
}

const FONT = 'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif" font-size="13"'

/** On white, so that it can be read on any page. */
export function svg({ width, height }: Size, title: string, parts: readonly string[]): string {
  const size = `width="${String(width)}" height="${String(height)}" viewBox="0 0 ${String(width)} ${String(height)}"`
  const head = `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img" ${FONT}>`
  const background = `<rect width="100%" height="100%" fill="#ffffff"/>`
  return [head, `<title>${escape(title)}</title>`, background, ...parts, '</svg>', ''].join('\n')
}

export function line(x1: number, y1: number, x2: number, y2: number, color: string, width = 1): string {
  return `<line x1="${n(x1)}" y1="${n(y1)}" x2="${n(x2)}" y2="${n(y2)}" stroke="${color}" stroke-width="${n(width)}"/>`
}

export function dot(x: number, y: number, color: string): string {
  return `<circle cx="${n(x)}" cy="${n(y)}" r="5" fill="${color}"/>`
}

export function path(points: readonly (readonly [number, number])[], color: string): string {
  const list = points.map(([x, y]) => `${n(x)},${n(y)}`).join(' ')
  return `<polyline points="${list}" fill="none" stroke="${color}" stroke-width="2"/>`
}

export function text(
  x: number,
  y: number,
  content: string,
  { anchor = 'start', color = '#333333', bold = false }: { anchor?: string; color?: string; bold?: boolean } = {},
): string {
  const weight = bold ? ' font-weight="600"' : ''
  return `<text x="${n(x)}" y="${n(y)}" text-anchor="${anchor}" fill="${color}"${weight}>${escape(content)}</text>`
}

function n(value: number): string {
  return String(Math.round(value * 10) / 10)
}

function escape(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

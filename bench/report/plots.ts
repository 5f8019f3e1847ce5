import type { Result } from '../result'
import { formatNumber } from './format'
import { linear, scaleFor } from './scale'
import { dot, line, path, svg, text } from './svg'

const WIDTH = 860
const LEFT = 150
const RIGHT = 170
const TOP = 58
const ROW = 30
const BOTTOM = 40
const ROUNDS_HEIGHT = 320

const GRID = '#e4e4e4'
const COLORS = ['#0b6bcb', '#e08a00', '#c0392b', '#2e8b57', '#7d4fb3', '#5f6b76', '#b0477d', '#00818a']

/** A row for each subject, a dot for each of its medians, and a line from the smallest to the largest run. */
export function plotResults(title: string, results: readonly Result[]): string {
  const subjects = [...new Set(results.map(({ subject }) => subject))]
  const units = [...new Set(results.map(({ unit }) => unit))]
  const bottom = TOP + subjects.length * ROW
  const values = results.flatMap(({ min, max, median }) => [min, max, median])
  const scale = scaleFor(values, LEFT, WIDTH - RIGHT)
  const grid = scale.ticks.flatMap(tick => [
    line(scale.at(tick), TOP, scale.at(tick), bottom, GRID),
    text(scale.at(tick), bottom + 18, formatNumber(tick), { anchor: 'middle', color: '#777777' }),
  ])
  const rows = subjects.flatMap((subject, index) => {
    const own = results.filter(result => result.subject === subject)
    return plotRow(own, units, TOP + (index + 0.5) * ROW, value => scale.at(value))
  })
  return svg({ width: WIDTH, height: bottom + BOTTOM }, title, [...heading(title, units), ...grid, ...rows])
}

function heading(title: string, names: readonly string[]): string[] {
  const parts = [text(16, 24, title, { bold: true })]
  let x = LEFT
  for (const [index, name] of names.entries()) {
    parts.push(dot(x, 42, colorOf(index)), text(x + 10, 46, name))
    x += 34 + name.length * 7
  }
  return parts
}

function plotRow(own: readonly Result[], units: readonly string[], y: number, at: (value: number) => number): string[] {
  const dots = own.flatMap(({ unit, median, min, max }) => {
    const color = colorOf(units.indexOf(unit))
    return [line(at(min), y, at(max), y, color, 2), dot(at(median), y, color)]
  })
  const name = own[0]?.subject ?? ''
  const isOurs = name.startsWith('cluster')
  const medians = own.map(({ median }) => formatNumber(median)).join(' / ')
  return [
    text(LEFT - 12, y + 4, name, { anchor: 'end', bold: isOurs }),
    ...dots,
    text(WIDTH - RIGHT + 14, y + 4, medians, { bold: isOurs }),
  ]
}

/** Each round on one collection, relative to the first. */
export function plotRounds(title: string, results: readonly Result[]): string {
  const bottom = ROUNDS_HEIGHT - BOTTOM
  const relative = results.map(({ values }) => values.map(value => value / (values[0] ?? NaN)))
  const rounds = Math.max(...relative.map(values => values.length))
  const scale = linear(Math.max(...relative.flat()), bottom, TOP)
  const x = (round: number) => LEFT + (round / Math.max(rounds - 1, 1)) * (WIDTH - LEFT - RIGHT)
  const grid = scale.ticks.flatMap(tick => [
    line(LEFT, scale.at(tick), WIDTH - RIGHT, scale.at(tick), GRID),
    text(LEFT - 12, scale.at(tick) + 4, formatNumber(tick), { anchor: 'end', color: '#777777' }),
  ])
  const names = Array.from({ length: rounds }, (_, round) =>
    text(x(round), bottom + 18, `round ${String(round + 1)}`, { anchor: 'middle', color: '#777777' }),
  )
  const lines = relative.flatMap((values, index) => {
    const points = values.map((value, round) => [x(round), scale.at(value)] as const)
    return [path(points, colorOf(index)), ...points.map(([px, py]) => dot(px, py, colorOf(index)))]
  })
  const legend = results.map(({ subject }) => subject)
  return svg({ width: WIDTH, height: ROUNDS_HEIGHT }, title, [...heading(title, legend), ...grid, ...names, ...lines])
}

function colorOf(index: number): string {
  return COLORS[index % COLORS.length] ?? '#000000'
}

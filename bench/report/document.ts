import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Case } from '../cases/case'
import { CASES } from '../cases/cases'
import { type Result, describeRuns } from '../result'
import { type SubjectName, subjectOf } from '../subjects/programs'
import { judgeAims } from './aims'
import { formatNumber, table, wrap } from './format'
import { METHOD } from './method'
import { plotResults, plotRounds } from './plots'
import type { Report } from './report'

const DOCS = path.resolve(import.meta.dirname, '../../docs')
const PLOTS = path.join(DOCS, 'benchmarks')

/** Writes docs/benchmarks.md and its plots. */
export function writeDocument(report: Report, quick: boolean): void {
  rmSync(PLOTS, { recursive: true, force: true })
  mkdirSync(PLOTS, { recursive: true })
  const sections = [
    introduction(report, quick),
    aims(report),
    ...CASES.map(({ name }) => section(name, report)),
    subjects(report),
  ]
  writeFileSync(path.join(DOCS, 'benchmarks.md'), `${sections.filter(part => part !== '').join('\n\n')}\n`)
}

function introduction({ machine, versions }: Report, quick: boolean): string {
  const { cpu, cores, memory, system } = machine
  return [
    '# Benchmarks',
    `Written by \`npm run bench\`${quick ? ' `-- --quick`: fewer and shorter runs than a whole one' : ''}.`,
    `Machine: ${cpu}, ${String(cores)} cores, ${memory}, ${system}.`,
    wrap(
      `Versions: ${Object.entries(versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(', ')}.`,
    ),
    METHOD,
  ].join('\n\n')
}

function aims(report: Report): string {
  const rows = judgeAims(report).map(({ name, what, atLeast, atMost, value, isMet }) => [
    name,
    what,
    atLeast === undefined ? `at most ${String(atMost)}` : `at least ${String(atLeast)}`,
    formatNumber(value),
    isMet ? 'yes' : '**no**',
  ])
  return rows.length === 0 ? '' : `## Aims\n\n${table(['case', 'ratio', 'aim', 'measured', 'reached'], rows)}`
}

function section(name: string, { results }: Report): string {
  const found = CASES.find(one => one.name === name)
  const own = results.filter(result => result.case === name)
  if (found === undefined || own.length === 0) return ''
  writeFileSync(path.join(PLOTS, `${name}.svg`), plotResults(name, own))
  const direction = found.isHigherBetter ? 'Higher is better.' : 'Lower is better.'
  return [
    `## ${name}`,
    wrap(`${found.title} ${direction}`),
    `![${name}](benchmarks/${name}.svg)`,
    table(['subject', 'unit', 'median', 'min', 'max', 'runs'], own.map(toRow)),
    ...notes(own),
    ...rounds(found, own),
  ].join('\n\n')
}

function toRow({ subject, unit, median, min, max, runs }: Result): string[] {
  return [subject, unit, ...[median, min, max].map(formatNumber), String(runs)]
}

function notes(results: readonly Result[]): string[] {
  const lines = results
    .filter(({ note }) => note !== undefined)
    .map(({ subject, note }) => `${subject}: ${note ?? ''}.`)
  return lines.length === 0 ? [] : [wrap([...new Set(lines)].join(' '))]
}

/** The rounds, in their order. */
function rounds({ name, onOneCollection = [] }: Case, results: readonly Result[]): string[] {
  const repeated = results.filter(({ subject }) => onOneCollection.includes(subject))
  if (repeated.length === 0) return []
  const file = `${name}-rounds.svg`
  const title = `${name}: each round on one collection, relative to the first`
  writeFileSync(path.join(PLOTS, file), plotRounds(title, repeated))
  return [`![${title}](benchmarks/${file})`, repeated.map(describeRuns).join('\n')]
}

function subjects({ results }: Report): string {
  const names = [...new Set(results.map(({ subject }) => subject))]
  const describe = (name: SubjectName) => `- **${name}**: ${subjectOf(name).description}`
  return `## Subjects\n\n${names.map(describe).join('\n')}`
}

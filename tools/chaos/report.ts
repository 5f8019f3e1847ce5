/** Keeps what a run found as a file. A run that already has a report is not repeated. */
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Verdict } from '../../tests/chaos/check'
import type { Run, RunSettings } from './run'

export interface Report extends Verdict {
  readonly settings: RunSettings
}

export class Reports {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
    mkdirSync(folder, { recursive: true })
  }

  has(settings: RunSettings): boolean {
    return existsSync(this.fileFor(settings, '.json'))
  }

  write(report: Report): void {
    writeFileSync(this.fileFor(report.settings, '.json'), JSON.stringify(report, undefined, 2))
  }

  /** Copies the log of a run. @returns the folder of the copy */
  keepLog(run: Run, settings: RunSettings): string {
    const folder = this.fileFor(settings, '-log')
    cpSync(run.log, folder, { recursive: true })
    if (existsSync(run.output)) cpSync(run.output, path.join(folder, 'output.log'))
    return folder
  }

  /** The reports of all runs, including those of earlier commands. */
  all(): Report[] {
    const names = readdirSync(this.#folder).filter(name => name.endsWith('.json'))
    return names.map(name => JSON.parse(readFileSync(path.join(this.#folder, name), 'utf8')) as Report)
  }

  private fileFor({ seed, seconds, masters, workers, lease, hasNemesis, server }: RunSettings, suffix: string): string {
    const size = `${String(seconds)}s-${String(masters)}x${String(workers)}-lease-${String(lease)}`
    const more = [hasNemesis ? '' : '-undisturbed', server === undefined ? '' : '-server'].join('')
    return path.join(this.#folder, `seed-${String(seed)}-${size}${more}${suffix}`)
  }
}

/** Rules that the summary always shows. It shows the others only if they were broken. */
const ALWAYS = [
  'lost',
  'overlapping',
  'unexplained',
  'waiting',
  'cancelled',
  'late',
  'completed twice',
  'early',
  'orphans',
]

/** One line for all reports. */
export function summary(reports: readonly Report[]): string {
  const sum = (count: (report: Report) => number) => String(reports.reduce((total, report) => total + count(report), 0))
  const attacks = (kind: string) => sum(({ counts }) => counts.attacks[kind] ?? 0)
  const broken = reports.flatMap(({ violations }) => violations.map(({ rule }) => rule))
  const rules = [...new Set([...ALWAYS, ...broken])]
  const leases = [...new Set(reports.map(({ settings }) => settings.lease))]
  return [
    `chaos: seeds ${ranges(reports.map(({ settings }) => settings.seed))}`,
    `${sum(({ counts }) => counts.tasks)} tasks`,
    `${sum(({ counts }) => counts.attempts)} attempts`,
    `kills: worker ${attacks('kill-worker')}, master ${attacks('kill-master')}, mongod ${attacks('kill-mongod')}`,
    `stops: worker ${attacks('stop-worker')}, master ${attacks('stop-master')}, both ${attacks('stop-pair')}`,
    `clean stops ${attacks('clean-stop')}, wrong clocks ${attacks('skew')}`,
    `late jobs refused ${sum(({ counts }) => counts.refusedLate)}`,
    ...rules.map(rule => `${rule} ${String(broken.filter(one => one === rule).length)}`),
  ]
    .join(', ')
    .concat(` (lease ${leases.join(', ')} ms)`)
}

/** `1-3, 7` */
function ranges(numbers: readonly number[]): string {
  const sorted = [...new Set(numbers)].sort((a, b) => a - b)
  const parts: { first: number; last: number }[] = []
  for (const number of sorted) {
    const part = parts.at(-1)
    if (part !== undefined && part.last + 1 === number) part.last = number
    else parts.push({ first: number, last: number })
  }
  return parts
    .map(({ first, last }) => (first === last ? String(first) : `${String(first)}-${String(last)}`))
    .join(', ')
}

/**
 * npm run chaos: attacks real masters and workers on a real MongoDB. It then proves from an independent log that no
 * task was lost, run twice at once, started late or early, or completed twice.
 */
import path from 'node:path'
import { parseArgs } from 'node:util'
import type { Violation } from '../../tests/chaos/history'
import { ROOT } from '../setup.js'
import { Reports, summary } from './report'
import { Run, type RunSettings } from './run'

const USAGE = `npm run chaos -- [--seed N | --seeds A-B] [--seconds S] [--masters M] [--workers W]
  [--lease MS] [--nemesis none] [--report DIR] [--keep-log] [--server MAIN_JS]`

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string' },
    seconds: { type: 'string', default: '60' },
    masters: { type: 'string', default: '2' },
    workers: { type: 'string', default: '1' },
    lease: { type: 'string', default: '3000' },
    nemesis: { type: 'string' },
    report: { type: 'string', default: path.join(ROOT, '.cache/chaos') },
    server: { type: 'string' },
    'keep-log': { type: 'boolean', default: false },
  },
})

/** How many violations of each rule are shown in full. */
const SHOWN = 3

let current: Run | undefined

async function main(): Promise<void> {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      process.exit(130)
    })
  }
  // However the process ends, an uncaught error included.
  process.on('exit', () => current?.cleanUp())
  const reports = new Reports(path.resolve(values.report))
  for (const settings of allSettings()) {
    if (reports.has(settings)) console.log(`seed ${String(settings.seed)}: skipped, it already has a report`)
    else await runOnce(settings, reports)
  }
  const all = reports.all()
  console.log(summary(all))
  process.exitCode = all.some(({ violations }) => violations.length > 0) ? 1 : 0
}

async function runOnce(settings: RunSettings, reports: Reports): Promise<void> {
  const run = new Run(settings)
  current = run
  try {
    const verdict = await run.execute()
    const report = { settings, ...verdict }
    reports.write(report)
    show(verdict.violations)
    if (verdict.violations.length > 0 || values['keep-log']) console.log(`log: ${reports.keepLog(run, settings)}`)
    console.log(summary([report]))
  } catch (error) {
    console.log(`seed ${String(settings.seed)} could not be run; log: ${reports.keepLog(run, settings)}`)
    throw error
  } finally {
    run.cleanUp()
  }
}

function show(violations: readonly Violation[]): void {
  for (const rule of new Set(violations.map(violation => violation.rule))) {
    const broken = violations.filter(violation => violation.rule === rule)
    for (const { text, evidence } of broken.slice(0, SHOWN)) {
      console.log(`${rule}: ${text}`)
      for (const item of evidence) console.log(`  ${JSON.stringify(item)}`)
    }
    if (broken.length > SHOWN) console.log(`${rule}: and ${String(broken.length - SHOWN)} more in the report`)
  }
}

function allSettings(): RunSettings[] {
  const [first, last = first] = (values.seeds ?? values.seed).split('-').map(wholeNumber)
  if (first === undefined || last === undefined) throw new Error(USAGE)
  if (values.nemesis !== undefined && values.nemesis !== 'none') throw new Error(USAGE)
  return Array.from({ length: last - first + 1 }, (_, index) => ({
    seed: first + index,
    seconds: wholeNumber(values.seconds),
    masters: wholeNumber(values.masters),
    workers: wholeNumber(values.workers),
    lease: wholeNumber(values.lease),
    hasNemesis: values.nemesis === undefined,
    server: values.server === undefined ? undefined : path.resolve(values.server),
  }))
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new Error(USAGE)
  return Number(text)
}

await main()

/**
 * npm run bench: this package, its peers and what the database and the pipe give at best, one after the other on one machine.
 * `--quick` takes minutes; `--only CASES` and `--subjects NAMES` (with commas) choose; `--json FILE` writes the results there;
 * `--docs` writes docs/benchmarks.md, as a whole run does by itself.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type Arguments, readArguments } from './arguments'
import { Bench } from './bench'
import { iterationsPerMillisecond } from './burn'
import { CASES } from './cases/cases'
import { Databases } from './databases/databases'
import { describeMachine, readVersions } from './machine'
import { writeDocument } from './report/document'
import type { Report } from './report/report'
import { type Result, toResult } from './result'
import { type DatabaseKind, type SubjectName, subjectOf } from './subjects/programs'

async function main(): Promise<void> {
  const given = readArguments()
  const folder = mkdtempSync(path.join(tmpdir(), 'bench-'))
  const databases = await Databases.start(neededDatabases(given))
  const bench = new Bench({ quick: given.quick, iterationsPerMs: iterationsPerMillisecond(), databases, folder })
  const cleanUp = async () => {
    bench.killAll()
    await databases.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void cleanUp().finally(() => process.exit(signal === 'SIGINT' ? 130 : 143)))
  }
  try {
    const results = await measureAll(bench, given)
    const versions = await readVersions(databases.urlOf('mongodb'), databases.origins())
    publish({ machine: describeMachine(), versions, results }, given)
  } finally {
    await cleanUp()
  }
}

function neededDatabases({ cases, subjects }: Arguments): Set<DatabaseKind> {
  const used = CASES.filter(({ name }) => cases.includes(name)).flatMap(one => one.subjects)
  return new Set(used.filter(name => subjects.includes(name)).map(name => subjectOf(name).database))
}

async function measureAll(bench: Bench, { cases, subjects }: Arguments): Promise<Result[]> {
  const results: Result[] = []
  for (const one of CASES.filter(({ name }) => cases.includes(name))) {
    for (const subject of one.subjects.filter(name => subjects.includes(name) && bench.has(name))) {
      results.push(...(await measureOne(bench, one, subject)))
    }
  }
  return results
}

/** What one subject cannot do must not cost the results of all others. */
async function measureOne(bench: Bench, one: (typeof CASES)[number], subject: SubjectName): Promise<Result[]> {
  try {
    const results = (await one.measure(subject, bench)).map(found => toResult(one.name, subject, found))
    for (const { unit, median, min, max, runs } of results) {
      console.log(
        `${one.name}  ${subject}  ${String(median)} ${unit} (${String(min)} … ${String(max)}, ${String(runs)} runs)`,
      )
    }
    return results
  } catch (error) {
    console.error(`${one.name}  ${subject}  FAILED:`, error)
    process.exitCode = 1
    return []
  }
}

function publish(report: Report, { json, docs, quick }: Arguments): void {
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(report, undefined, 2)}\n`)
  if (docs) writeDocument(report, quick)
}

await main()

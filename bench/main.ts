/**
 * npm run bench: measures this package, its peers, and the best that the database and the pipe can do, one after
 * another on one machine. `--quick` takes minutes. `--only CASES` and `--subjects NAMES` (separated by commas) choose
 * what to measure. `--json FILE` writes the results to that file. `--docs` writes docs/benchmarks.md; a whole run does
 * so by default.
 */
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type Arguments, readArguments } from './arguments'
import { Bench } from './bench'
import { iterationsPerMillisecond } from './burn'
import type { Case } from './cases/case'
import { CASES } from './cases/cases'
import { Databases } from './databases/databases'
import { describeMachine, readVersions } from './machine'
import { writeDocument } from './report/document'
import type { Report } from './report/report'
import { type Result, toResult } from './result'
import { type DatabaseKind, type SubjectName, subjectOf } from './subjects/programs'

/** A folder in memory, which Linux has. On a disk, the database's fsync would wait for what the subjects print. */
const SHARED_MEMORY = '/dev/shm'

async function main(): Promise<void> {
  const given = readArguments()
  const folder = mkdtempSync(path.join(tmpdir(), 'bench-'))
  // All temporary folders, those of the databases included, are created in this one. Removing it removes them all, also
  // after Ctrl-C.
  process.env.TMPDIR = folder
  // PostgreSQL runs as a user of its own, which must get into the folder.
  chmodSync(folder, 0o755)
  const databases = await Databases.start(neededDatabases(given))
  const printed = mkdtempSync(path.join(existsSync(SHARED_MEMORY) ? SHARED_MEMORY : folder, 'bench-'))
  const bench = new Bench({ quick: given.quick, iterationsPerMs: iterationsPerMillisecond(), databases, printed })
  const cleanUp = async () => {
    bench.killAll()
    await databases.stop()
    for (const temporary of [folder, printed]) rmSync(temporary, { recursive: true, force: true })
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

/** The cases of the run, each with its subjects. */
function choose({ quick, cases, subjects }: Arguments): (readonly [Case, readonly SubjectName[]])[] {
  return CASES.filter(({ name }) => cases.includes(name)).map(one => {
    const usual = quick ? (one.quickSubjects ?? one.subjects) : one.subjects
    return [one, subjects === undefined ? usual : one.subjects.filter(name => subjects.includes(name))]
  })
}

function neededDatabases(given: Arguments): Set<DatabaseKind> {
  return new Set(choose(given).flatMap(([, subjects]) => subjects.map(name => subjectOf(name).database)))
}

async function measureAll(bench: Bench, given: Arguments): Promise<Result[]> {
  const results: Result[] = []
  for (const [one, subjects] of choose(given)) {
    for (const subject of subjects.filter(name => bench.has(name))) {
      results.push(...(await measureOne(bench, one, subject)))
    }
  }
  return results
}

/** The failure of one subject must not cost the results of all others. */
async function measureOne(bench: Bench, one: Case, subject: SubjectName): Promise<Result[]> {
  try {
    const results = (await one.measure(subject, bench)).map(found => toResult(one.name, subject, found))
    for (const { unit, median, min, max, runs } of results) {
      console.log(
        `${one.name}  ${subject}  ${String(median)} ${unit} (${String(min)} … ${String(max)}, ${String(runs)} runs)`,
      )
    }
    return results
  } catch (error) {
    // The process failed because the bench is ending and killed it; the next one must not start.
    if (bench.isEnding) return new Promise(() => undefined)
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

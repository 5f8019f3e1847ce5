/**
 * npm test: the checks of the code and a short crash run, then the Tinytest suites: on the Meteor tool if it is
 * installed, else on the stand-in, and there the storage suite once more on the older driver. `npm test -- NAME` runs
 * only the Tinytest tests whose names hold NAME. It ends with the names of what failed and the count.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { runChecks } from './checks'
import { type Count, report } from './count'
import { execute } from './execute'
import { startDatabase } from './mongod'
import { allSuites } from './suites'

/** Long enough for each kind of attack. */
const CRASH_RUN = ['--seed', '1', '--seconds', '15', '--masters', '2', '--workers', '1']

async function main(): Promise<void> {
  const filter = process.argv[2] ?? ''
  if (filter === '') console.log('First the checks and a crash run, a minute or two; then the suites, five minutes.')
  // The crash run mostly waits: the checks fill the gaps.
  const counts: Count[] = filter === '' ? await Promise.all([runChecks(), crashRun()]) : []
  const database = await startDatabase()
  try {
    counts.push(...(await allSuites(database, filter)))
  } finally {
    await database.stop()
  }
  if (filter !== '' && counts.every(({ passed, failed }) => passed + failed.length === 0)) {
    console.log(`No test has "${filter}" in its name.`)
  }
  process.exitCode = report(counts)
}

/** Counts as one test. It has a database of its own, to kill it. */
async function crashRun(): Promise<Count> {
  const reports = mkdtempSync(path.join(tmpdir(), 'cluster-crash-run-'))
  const { code, output } = await execute('node', ['tools/chaos.js', ...CRASH_RUN, '--report', reports])
  const name = `npm run chaos -- ${CRASH_RUN.join(' ')}`
  console.log(`${code === 0 ? 'ok  ' : 'FAIL'} ${name}\n${output}`)
  if (code !== 0) return { passed: 0, failed: [name] }
  rmSync(reports, { recursive: true })
  return { passed: 1, failed: [] }
}

await main()

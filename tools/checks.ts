/** What needs no database: format, lint, types, properties, and the suites of pure modules. Each counts as one test. */
import { readdirSync } from 'node:fs'
import path from 'node:path'
import type { Count } from './count'
import { execute } from './execute'
import { ROOT } from './setup.js'

type Command = readonly [string, ...string[]]

const CHECKS: readonly Command[] = [
  // The longest first, since two run at a time.
  ['eslint', '--cache', '--cache-location', '.cache/eslint', '--cache-strategy', 'content', '.'],
  ['tsc', '-p', 'tsconfig.check.json'],
  ...propertyTests(),
  // With the driver of Meteor 3.0.
  ['tsc', '-p', 'tsconfig.driver4.json', '--incremental', '--tsBuildInfoFile', '.cache/driver4.tsbuildinfo'],
  ['prettier', '--check', '--log-level', 'warn', '--cache', '--cache-location', '.cache/prettier', '.'],
  ['node', 'tools/check-docs.js'],
  ['node', 'tools/check-types.js'],
]

/** With Node's own `node:test`, each file by itself. */
function propertyTests(): Command[] {
  const folder = 'tests/properties'
  const files = readdirSync(path.join(ROOT, folder)).filter(name => name.endsWith('.test.ts'))
  return files.map(name => ['node', '--import', 'tsx', path.join(folder, name)])
}

const PATH_WITH_TOOLS = [path.join(ROOT, 'node_modules/.bin'), process.env.PATH].join(path.delimiter)

/** Two at a time. */
export async function runChecks(): Promise<Count> {
  console.log(`${String(CHECKS.length)} checks:`)
  const waiting = [...CHECKS]
  const failed: string[] = []
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      if (!(await passes(next))) failed.push(next.join(' '))
    }
  }
  await Promise.all([work(), work()])
  return { passed: CHECKS.length - failed.length, failed }
}

async function passes(check: Command): Promise<boolean> {
  const [command, ...args] = check
  const { code, output } = await execute(command, args, { PATH: PATH_WITH_TOOLS })
  console.log(`${code === 0 ? 'ok  ' : 'FAIL'} ${check.join(' ')}${code === 0 ? '' : `\n${output}`}`)
  return code === 0
}

/**
 * npm run test:scale: measures what takes too long for npm test, on the stand-in for Meteor, with a MongoDB of its own.
 * `--only soak` or `--only recovery` runs one of the two; `--tasks N` sets the number of tasks in the soak. Each prints
 * a line of JSON and a line of text.
 */
import { parseArgs } from 'node:util'
import { onDatabaseOfItsOwn, startDatabase } from '../mongod'
import { describeRecovery, recovery } from './recovery'
import { describeSoak, soak } from './soak'

const DEFAULT_TASKS = 200_000
/** Fewer tasks yield too few samples to compare thirds of them. */
const MIN_TASKS = 3000

const PARTS: Readonly<Record<string, (url: string, tasks: number) => Promise<boolean>>> = {
  soak: async (url, tasks) => {
    const result = await soak(url, tasks)
    return report('soak', result, describeSoak(result))
  },
  recovery: async url => {
    const result = await recovery(url)
    return report('recovery', result, describeRecovery(result))
  },
}

function report(part: string, result: { readonly passed: boolean }, line: string): boolean {
  console.log(JSON.stringify({ [part]: result }))
  console.log(line)
  return result.passed
}

function readArguments(): { readonly parts: readonly string[]; readonly tasks: number } {
  const { only, tasks } = parseArgs({ options: { only: { type: 'string' }, tasks: { type: 'string' } } }).values
  const parts = Object.keys(PARTS).filter(part => only === undefined || part === only)
  if (parts.length === 0) throw new Error(`--only is ${only ?? ''}; allowed: ${Object.keys(PARTS).join(', ')}.`)
  const count = Number(tasks ?? DEFAULT_TASKS)
  if (!Number.isSafeInteger(count) || count < MIN_TASKS) {
    throw new Error(`--tasks is ${tasks ?? ''}; allowed: an integer from ${String(MIN_TASKS)}.`)
  }
  return { parts, tasks: count }
}

async function main(): Promise<void> {
  const { parts, tasks } = readArguments()
  const database = await startDatabase()
  console.log(`MongoDB: ${database.origin}`)
  try {
    for (const part of parts) {
      const passed = await onDatabaseOfItsOwn(database.url, async url => PARTS[part]?.(url, tasks))
      if (passed !== true) process.exitCode = 1
    }
  } finally {
    await database.stop()
  }
}

await main()

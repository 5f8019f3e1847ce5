/**
 * Runs all registered tests once the server is up, then exits: with 1 if a test failed or none ran. The servers that
 * tests fork, and their workers, load this file too, and must not run tests or exit. Meteor's own console driver would
 * end them.
 */
import { Tinytest } from 'meteor/tinytest'
import { WebApp } from 'meteor/webapp'

/** Set in every server that a test forks, and in the workers of such a server. */
const FORKED_VARIABLE = 'CLUSTER_TEST_APP'

interface Event {
  readonly type: 'ok' | 'fail' | 'expected_fail' | 'exception' | 'finish'
  readonly timeMs?: number
  readonly details?: { readonly message?: string; readonly stack?: string }
}

/** What tinytest reports: a test's events, a few at a time. */
export interface Report {
  readonly groupPath: readonly string[]
  readonly test: string
  readonly events?: readonly Event[]
}

export interface TestRunner {
  _runTests(onReport: (report: Report) => void, onComplete: () => void): void
}

const failures = new Map<string, Event[]>()
let passed = 0

function report({ groupPath, test, events = [] }: Report): void {
  // The first part is tinytest's own.
  const name = [...groupPath.slice(1), test].join(' - ')
  for (const event of events) {
    if (event.type === 'fail' || event.type === 'exception') {
      failures.set(name, [...(failures.get(name) ?? []), event])
      console.log(`FAIL ${name}\n${describe(event)}`)
    } else if (event.type === 'finish' && !failures.has(name)) {
      passed++
      console.log(`ok   ${name} (${String(event.timeMs)} ms)`)
    }
  }
}

function describe({ details }: Event): string {
  return details?.stack ?? JSON.stringify(details)
}

function complete(): void {
  console.log(`${String(passed)} passed, ${String(failures.size)} failed`)
  process.exit(failures.size === 0 && passed > 0 ? 0 : 1)
}

if (process.env[FORKED_VARIABLE] === undefined) {
  WebApp.onListening(() => {
    ;(Tinytest as unknown as TestRunner)._runTests(report, complete)
  })
}

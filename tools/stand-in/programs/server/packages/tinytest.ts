/** meteor/tinytest: registers tests, and runs them when a driver asks (packages/tinytest/tinytest.js). */
import { inspect, isDeepStrictEqual } from 'node:util'
import { SHARD_VARIABLE } from '../variables'
import type { Report, TestRunner } from '../../../../test-driver/driver'

type TestFunction = (test: TestCaseResults) => unknown
type Expected = string | RegExp | ((error: Error) => boolean) | undefined

const TIMEOUT_MS = 3 * 60 * 1000
const { TINYTEST_FILTER = '' } = process.env
const tests = new Map<string, TestFunction>()

/** What tinytest hands to each test; only what the suites use. */
class TestCaseResults {
  readonly #fail: (message: string) => void

  constructor(fail: (message: string) => void) {
    this.#fail = fail
  }

  equal(actual: unknown, expected: unknown, message?: string): void {
    // For EJSON.equals, any two Sets are equal, and so are any two Maps.
    if (expected instanceof Set || expected instanceof Map)
      this.fail('compare arrays: Meteor cannot compare Sets or Maps')
    this.check(isDeepStrictEqual(actual, expected), message, () => `expected ${show(expected)}, got ${show(actual)}`)
  }

  notEqual(actual: unknown, expected: unknown, message?: string): void {
    this.check(!isDeepStrictEqual(actual, expected), message, () => `did not expect ${show(actual)}`)
  }

  isTrue(value: unknown, message?: string): void {
    this.check(Boolean(value), message, () => `expected something true, got ${show(value)}`)
  }

  isFalse(value: unknown, message?: string): void {
    this.check(!value, message, () => `expected something false, got ${show(value)}`)
  }

  isUndefined(value: unknown, message?: string): void {
    this.check(value === undefined, message, () => `expected undefined, got ${show(value)}`)
  }

  instanceOf(value: unknown, type: new (...parts: never[]) => unknown, message?: string): void {
    this.check(value instanceof type, message, () => `expected a ${type.name}, got ${show(value)}`)
  }

  matches(actual: string, pattern: RegExp, message?: string): void {
    this.check(pattern.test(actual), message, () => `expected ${show(actual)} to match ${String(pattern)}`)
  }

  notMatches(actual: string, pattern: RegExp, message?: string): void {
    this.check(!pattern.test(actual), message, () => `expected ${show(actual)} not to match ${String(pattern)}`)
  }

  throws(run: () => unknown, expected?: Expected): void {
    try {
      run()
    } catch (error) {
      this.checkError(error as Error, expected)
      return
    }
    this.fail('did not throw')
  }

  async throwsAsync(run: () => Promise<unknown>, expected?: Expected): Promise<void> {
    try {
      await run()
    } catch (error) {
      this.checkError(error as Error, expected)
      return
    }
    this.fail('did not reject')
  }

  fail(message: string): void {
    const where = new Error().stack?.split('\n').find(line => line.includes('/tests/'))
    this.#fail(`${message}${where ?? ''}`)
  }

  private checkError(error: Error, expected: Expected): void {
    const isExpected =
      expected === undefined ||
      (typeof expected === 'string' && error.message.includes(expected)) ||
      (expected instanceof RegExp && expected.test(error.message)) ||
      (typeof expected === 'function' && expected(error))
    if (!isExpected) this.fail(`wrong error thrown: ${error.message}`)
  }

  private check(isRight: boolean, message: string | undefined, explain: () => string): void {
    if (!isRight) this.fail(message === undefined ? explain() : `${message}: ${explain()}`)
  }
}

export const Tinytest = {
  add(name: string, run: TestFunction): void {
    if (tests.has(name)) throw new Error(`Every test needs a unique name, but there are two tests named '${name}'`)
    if (name.includes(TINYTEST_FILTER)) tests.set(name, run)
  },
  addAsync(name: string, run: TestFunction): void {
    Tinytest.add(name, run)
  },
  /** One test at a time. */
  _runTests(onReport: (report: Report) => void, onComplete: () => void): void {
    void runAll(onReport).then(onComplete)
  },
} satisfies TestRunner & Record<string, unknown>

/** `1/2` and `2/2` are two halves of the tests, for two processes. Tests for leftovers of a process run in each. */
const [shard = 1, shards = 1] = (process.env[SHARD_VARIABLE] ?? '1/1').split('/').map(Number)
const IN_EVERY_SHARD = 'leftovers - '

async function runAll(onReport: (report: Report) => void): Promise<void> {
  for (const [index, [name, run]] of [...tests].entries()) {
    if (index % shards !== shard - 1 && !name.startsWith(IN_EVERY_SHARD)) continue
    const parts = ['tinytest', ...name.split(' - ')]
    const test = parts.pop() ?? ''
    await runTest(run, event => {
      onReport({ groupPath: parts, test, events: [event] })
    })
  }
}

async function runTest(
  run: TestFunction,
  report: (event: NonNullable<Report['events']>[number]) => void,
): Promise<void> {
  const startedAt = Date.now()
  const results = new TestCaseResults(message => {
    report({ type: 'fail', details: { stack: message } })
  })
  try {
    await inTime(run(results))
    report({ type: 'finish', timeMs: Date.now() - startedAt })
  } catch (error) {
    report({ type: 'exception', details: error as Error })
  }
}

async function inTime(test: unknown): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error('test timed out'))
    }, TIMEOUT_MS)
  })
  try {
    await Promise.race([test, timeout])
  } finally {
    clearTimeout(timer)
  }
}

function show(value: unknown): string {
  return inspect(value, { depth: 8, breakLength: Infinity })
}

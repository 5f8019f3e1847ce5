import type { TestCaseResults } from 'meteor/tinytest'

/** Fails the test unless the promise rejects with this error. */
export async function refused(
  test: TestCaseResults,
  waiting: Promise<unknown>,
  name: string,
  message = /./,
): Promise<void> {
  try {
    test.fail(`it resolved to ${String(await waiting)}`)
  } catch (error) {
    test.equal((error as Error).name, name)
    test.matches((error as Error).message, message)
  }
}

/** For a promise that may reject before the test awaits it. */
export function later<Value>(promise: Promise<Value>): Promise<Value> {
  promise.catch(() => undefined)
  return promise
}

/** Missing in @types/meteor, which has it under a wrong name: what Meteor 3's tinytest gives to a test. */
declare module 'meteor/tinytest' {
  export interface TestCaseResults {
    equal(actual: unknown, expected: unknown, message?: string): void
    notEqual(actual: unknown, expected: unknown, message?: string): void
    isTrue(value: unknown, message?: string): void
    isFalse(value: unknown, message?: string): void
    isUndefined(value: unknown, message?: string): void
    instanceOf(value: unknown, type: abstract new (...parts: never[]) => unknown, message?: string): void
    matches(actual: string, pattern: RegExp, message?: string): void
    notMatches(actual: string, pattern: RegExp, message?: string): void
    throws(run: () => unknown, expected?: string | RegExp | ((error: Error) => boolean)): void
    throwsAsync(run: () => Promise<unknown>, expected?: string | RegExp | ((error: Error) => boolean)): Promise<void>
    fail(message: string): void
  }

  export const Tinytest: {
    add(name: string, run: (test: TestCaseResults) => void): void
    addAsync(name: string, run: (test: TestCaseResults) => Promise<void>): void
  }
}

/** How many tests passed, and the names of those that failed. */
export interface Count {
  readonly passed: number
  readonly failed: readonly string[]
}

export function total(counts: readonly Count[]): Count {
  return {
    passed: counts.reduce((sum, { passed }) => sum + passed, 0),
    // A test that runs on both drivers may fail on both.
    failed: [...new Set(counts.flatMap(({ failed }) => failed))],
  }
}

/** The names of what failed, and then the count alone on a line. @returns the exit code */
export function report(counts: readonly Count[]): number {
  const { passed, failed } = total(counts)
  for (const name of failed) console.log(`FAIL ${name}`)
  console.log(`${String(passed)} passed, ${String(failed.length)} failed`)
  // Without a single test something is wrong with the run itself.
  return failed.length === 0 && counts.every(count => count.passed > 0) ? 0 : 1
}

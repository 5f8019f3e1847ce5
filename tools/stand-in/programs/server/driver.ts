/** Runs the registered tests as a test driver package would, and exits with 1 when one failed or none ran. */
import { runTests } from './packages/tinytest'

export async function drive(filter: string): Promise<never> {
  let passed = 0
  let failed = 0
  await runTests(filter, ({ name, failures, milliseconds }) => {
    const time = `(${String(Math.round(milliseconds))} ms)`
    if (failures.length === 0) {
      passed++
      console.log(`ok   ${name} ${time}`)
    } else {
      failed++
      console.log(`FAIL ${name} ${time}\n${failures.map(failure => `       ${failure}`).join('\n')}`)
    }
  })
  console.log(`${String(passed)} passed, ${String(failed)} failed`)
  process.exit(failed === 0 && passed > 0 ? 0 : 1)
}

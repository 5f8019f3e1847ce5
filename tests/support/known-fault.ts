import { Tinytest } from 'meteor/tinytest'

/**
 * A test of a fault that is not repaired yet. It passes while `run` rejects, and fails as soon as `run` resolves, so that a
 * repaired fault cannot stay marked. `run` asserts with node:assert, which throws. To accept the repair, register `run` with
 * `Tinytest.addAsync`.
 */
export function addKnownFault(name: string, run: () => Promise<void>): void {
  Tinytest.addAsync(name, async test => {
    const isRepaired = await run().then(
      () => true,
      () => false,
    )
    if (isRepaired) test.fail('this known fault is repaired: register the test with Tinytest.addAsync')
  })
}

/** For tests that are made in a loop, of which some show a known fault. */
export function addTest(isKnownFault: boolean, name: string, run: () => Promise<void>): void {
  if (isKnownFault) addKnownFault(name, run)
  else Tinytest.addAsync(name, run)
}

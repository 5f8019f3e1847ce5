import assert from 'node:assert/strict'
import { InvalidArgumentError } from '../../common/errors'
import { RUNS } from './arbitraries'

/**
 * How often something was accepted and refused, so that a property that sees only one of the two does not pass for
 * true.
 */
export class Tally {
  accepted = 0
  refused = 0

  get isMixed(): boolean {
    return Math.min(this.accepted, this.refused) > RUNS.numRuns / 20
  }
}

/** Whatever the door gives for this input, undefined when that is one InvalidArgumentError which names a field. */
export function attempt<Result>(door: () => Result, tally: Tally): Result | undefined {
  try {
    const result = door()
    tally.accepted++
    return result
  } catch (error) {
    assert.ok(error instanceof InvalidArgumentError, String(error))
    assertNamesField(error)
    tally.refused++
    return undefined
  }
}

function assertNamesField({ field, message }: InvalidArgumentError): void {
  assert.ok(field !== '' && message.includes(`${field} is `) && message.includes('; allowed: '), message)
}

import { UnsendableValueError, toError, wishIn } from '../../common/errors'
import type { Outcome } from '../../common/pipe/protocol'
import { errorToWire, toWire } from '../../common/pipe/wire'

/** The culprit that the error names when the outcome cannot be sent. */
export const RESULT = 'the result of the task'

/** A result that cannot be sent fails the job. */
export function done(value: unknown): Outcome {
  try {
    return { kind: 'done', value: toWire(value) }
  } catch (error) {
    return unsendable(RESULT, error)
  }
}

/** Another attempt would fail in the same way. */
export function unsendable(what: string, reason: unknown): Outcome {
  return failedForGood(new UnsendableValueError(what, reason))
}

export function failed(thrown: unknown): Outcome {
  const error = toError(thrown)
  const wish = wishIn(error)
  if (wish?.kind === 'later') return { kind: 'postponed', delay: wish.delay }
  if (wish?.kind === 'fatal') return { kind: 'failed', error: errorToWire(wish.error), isFinal: true }
  return { kind: 'failed', error: errorToWire(error) }
}

/** Another attempt would fail in the same way. */
export function failedForGood(error: Error): Outcome {
  return { kind: 'failed', error: errorToWire(error), isFinal: true }
}

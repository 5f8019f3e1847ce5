/**
 * Judges from the document of a task what became of a claim. Every master and the model that tests settling share these
 * rules.
 */
import { isSame } from '../../../../common/ending'
import type { Claim, Loss, Settlement, Verdict } from '../../claim'
import { isWatched } from '../../retention'
import type { StoredTask } from '../documents/schema'

/** The fields that the rules read. */
export type FoundTask = Partial<
  Pick<
    StoredTask,
    'state' | 'createdAt' | 'sequence' | 'settledBy' | 'replaced' | 'cancelRequestedAt' | 'awaited' | 'audience'
  >
> & { readonly claim?: { readonly token?: string } }

export const FOUND_FIELDS = {
  state: 1,
  createdAt: 1,
  sequence: 1,
  settledBy: 1,
  replaced: 1,
  cancelRequestedAt: 1,
  awaited: 1,
  audience: 1,
  'claim.token': 1,
} as const

/**
 * `settleAs…`: the claim still holds the task, and the settlement must be written again. `settleAsKept`: somebody
 * watches it, so a done task is not deleted.
 */
export type Finding = Verdict | 'settleAsAsked' | 'settleAsCancelled' | 'settleAsKept'

/** An earlier write of the same settlement, whose effect is unknown. */
export interface Unanswered {
  /** By this master's clock, the lease had expired before that write was sent. */
  readonly isLate: boolean
}

/**
 * What a look-up says about a settlement, after a write that did not match the task.
 *
 * @param found the task's document, read with read concern majority; null if there is none
 * @param unanswered the first write of unknown effect, if there was one
 */
export function findingOf(
  claim: Pick<Claim, 'task' | 'token'>,
  kind: Settlement['kind'],
  found: FoundTask | null,
  unanswered?: Unanswered,
): Finding {
  if (found === null) return kind === 'done' ? goneUnless(unanswered) : 'removed'
  if (!isSame(claim.task, found)) return kind === 'done' ? replacedBy(found, claim.token, unanswered) : 'removed'
  if (found.claim?.token === claim.token) {
    if (hasCancelRequest(found)) return 'settleAsCancelled'
    return isWatched(found) ? 'settleAsKept' : 'settleAsAsked'
  }
  if (found.settledBy === claim.token) return found.state === 'cancelled' ? 'cancelled' : 'settled'
  return lossOf(found)
}

/** What a look-up says about a claim for which nothing was written; undefined while it holds the task. */
export function lossIn(claim: Pick<Claim, 'task' | 'token'>, found: FoundTask | null): Loss | undefined {
  if (found === null || !isSame(claim.task, found)) return 'removed'
  return found.claim?.token === claim.token ? undefined : lossOf(found)
}

/** Null and missing count as no request. */
export function hasCancelRequest({ cancelRequestedAt }: FoundTask): boolean {
  return (cancelRequestedAt ?? undefined) !== undefined
}

function lossOf({ state }: FoundTask): Loss {
  return state === 'cancelled' ? 'cancelledElsewhere' : 'takenOver'
}

/**
 * Either the write of unknown effect deleted the missing task, or somebody removed it. If that write was late, another
 * holder may have settled the task before.
 */
function goneUnless(unanswered: Unanswered | undefined): Verdict {
  if (unanswered === undefined) return 'removed'
  return unanswered.isLate ? 'takenOver' : 'settled'
}

/**
 * As `goneUnless`. But a done task that was taken over is kept, and the task that replaces it names the token that
 * settled it.
 */
function replacedBy({ replaced }: FoundTask, token: string, unanswered: Unanswered | undefined): Verdict {
  if (replaced === token) return 'settled'
  return replaced === undefined ? goneUnless(unanswered) : 'takenOver'
}

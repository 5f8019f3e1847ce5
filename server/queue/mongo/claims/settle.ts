import { monotonicNow } from '../../../../common/clock'
import { isSame } from '../../../../common/ending'
import { UnsendableValueError } from '../../../../common/errors'
import type { Claim, ClaimStore, ReportFields, ReportStore, SettleRequest, Verdict } from '../../claim'
import { findOneAndDelete, findOneAndUpdate } from '../documents/driver'
import type { Retention } from '../../retention'
import { storedResult } from '../../stored-result'
import {
  COMMITTED,
  DURABLE,
  type Filter,
  IS_UNWATCHED,
  NO_CANCEL_REQUESTED,
  type RawCollection,
  inOneReply,
  isTooLarge,
} from '../documents/schema'
import { type Pipeline, type Settler, failedWithoutError, reported, settledAs } from '../documents/updates'
import { FOUND_FIELDS, type Finding, findingOf } from './verdict'

/** What one write for many claims did. */
interface Written {
  readonly settled: ReadonlySet<SettleRequest>
  /** Whether the write certainly settled no others. */
  readonly isKnown: boolean
}

const NOTHING_WRITTEN: Written = { settled: new Set(), isKnown: true }
const UNKNOWN: Written = { settled: new Set(), isKnown: false }

/**
 * Settles claims of the persistent queue. Each write requires the token of its claim. A write for many claims, or one
 * that deletes, also requires that there is no cancel request. When the count of a write for many falls short, each
 * claim is settled by itself, and a look-up says what became of it.
 */
export class MongoSettler implements ClaimStore, ReportStore {
  readonly #tasks: RawCollection
  readonly #keepFailed: object

  constructor(tasks: RawCollection, retention: Retention) {
    this.#tasks = tasks
    this.#keepFailed = retention.keepFailedExpression
  }

  async settleAll(requests: readonly SettleRequest[]): Promise<readonly Verdict[]> {
    const verdicts = new Map<SettleRequest, Verdict>()
    const deletions = requests.filter(isDeletion)
    const updates = requests.filter(request => !isDeletion(request))
    await Promise.all([
      this.settleGroup(deletions, verdicts, () => this.deleteAll(deletions)),
      this.settleGroup(updates, verdicts, () => this.updateAll(updates)),
    ])
    return requests.map(request => verdicts.get(request) as Verdict)
  }

  /** Alternates writes and look-ups until one of them has an answer. Neither changes a task of another holder. */
  async settleOne(request: SettleRequest, firstSentAt?: number): Promise<Verdict> {
    let current = request
    for (;;) {
      const written = await this.write(current)
      if (written !== undefined) return written
      const finding = await this.lookUp(current, firstSentAt)
      // A deletion cannot do what these ask for; an update does it by itself.
      if (finding === 'settleAsCancelled') current = isDeletion(current) ? asCancelled(current) : current
      else if (finding === 'settleAsKept') current = asKept(current)
      else if (finding !== 'settleAsAsked') return finding
    }
  }

  async report(reports: readonly { readonly claim: Claim; readonly fields: ReportFields }[]): Promise<void> {
    const writes = reports.map(({ claim, fields }) => ({
      updateOne: { filter: heldBy(claim), update: [{ $set: reported(fields) }] },
    }))
    await this.#tasks.bulkWrite(writes, { ...DURABLE, ordered: false })
  }

  /** @param write settles as many of the group as it can, in one write */
  private async settleGroup(
    group: readonly SettleRequest[],
    verdicts: Map<SettleRequest, Verdict>,
    write: () => Promise<Written>,
  ): Promise<void> {
    const sentAt = monotonicNow()
    const { settled, isKnown } = group.length > 1 ? await write() : NOTHING_WRITTEN
    const settle = async (request: SettleRequest) => {
      const isSettled = settled.has(request)
      verdicts.set(request, isSettled ? 'settled' : await this.settleOne(request, isKnown ? undefined : sentAt))
    }
    await Promise.all(group.map(settle))
  }

  /**
   * When the count falls short, a look-up finds the tasks that are gone. This write deleted them all, if they are as
   * many as its count. If they are more, somebody else removed some.
   */
  private async deleteAll(requests: readonly SettleRequest[]): Promise<Written> {
    const filter = { ...heldByAny(requests.map(({ claim }) => claim)), ...IS_UNWATCHED }
    const { deletedCount } = await this.#tasks.deleteMany(filter, DURABLE)
    if (deletedCount === requests.length) return { settled: new Set(requests), isKnown: true }
    const ids = { _id: { $in: requests.map(({ claim }) => claim.task._id) } }
    const options = { projection: { createdAt: 1, sequence: 1 }, ...COMMITTED, ...inOneReply(requests.length) }
    const left = new Map((await this.#tasks.find(ids, options).toArray()).map(task => [task._id, task]))
    // Another task may have been added under the same `_id` meanwhile.
    const gone = requests.filter(({ claim: { task } }) => !isSame(task, left.get(task._id) ?? {}))
    return gone.length === deletedCount ? { settled: new Set(gone), isKnown: true } : UNKNOWN
  }

  private async updateAll(requests: readonly SettleRequest[]): Promise<Written> {
    const writes = requests.map(request => ({
      updateOne: { filter: { ...heldBy(request.claim), ...NO_CANCEL_REQUESTED }, update: this.updateFor(request) },
    }))
    try {
      const { matchedCount } = await this.#tasks.bulkWrite(writes, { ...DURABLE, ordered: false })
      return matchedCount === requests.length ? { settled: new Set(requests), isKnown: true } : UNKNOWN
    } catch (error) {
      // For example, one document would be too large. A look-up finds out which of the others were written.
      if ('writeErrors' in (error as object)) return UNKNOWN
      throw error
    }
  }

  /**
   * @returns undefined when the task does not carry the token of the claim, or would be deleted and is watched
   */
  private async write(request: SettleRequest): Promise<Verdict | undefined> {
    if (isDeletion(request)) {
      const isDeleted = await findOneAndDelete(this.#tasks, { ...heldBy(request.claim), ...IS_UNWATCHED })
      return isDeleted ? 'settled' : undefined
    }
    let tooLarge: unknown
    for (const update of this.updatesFor(request)) {
      try {
        return await this.update(request, update)
      } catch (error) {
        // The driver's own buffer ends at 17 MB.
        if (!isTooLarge(error) && !(error instanceof RangeError)) throw error
        tooLarge = error
      }
    }
    throw tooLarge
  }

  /** Each is smaller than the one before it: a document may have no room for all. */
  private *updatesFor(request: SettleRequest): Generator<Pipeline> {
    const { settlement } = request
    yield this.updateFor(request)
    const withoutReport = { ...request, report: {} }
    yield this.updateFor(withoutReport)
    if (settlement.kind === 'done') {
      yield this.updateFor({ ...withoutReport, settlement: { ...settlement, kept: { error: noRoomForResult() } } })
    } else if (settlement.kind === 'failed' || settlement.kind === 'retried') {
      // Another attempt could not be recorded, either.
      yield failedWithoutError(this.leavingOf(withoutReport))
    }
  }

  private async update({ claim }: SettleRequest, update: Pipeline): Promise<Verdict | undefined> {
    const task = await findOneAndUpdate(this.#tasks, heldBy(claim), update, { projection: { state: 1 } })
    if (task === null) return undefined
    return task.state === 'cancelled' ? 'cancelled' : 'settled'
  }

  private async lookUp({ claim, leaseEndsAt, settlement }: SettleRequest, firstSentAt?: number): Promise<Finding> {
    const found = await this.#tasks.findOne({ _id: claim.task._id }, { projection: FOUND_FIELDS, ...COMMITTED })
    const unanswered = firstSentAt === undefined ? undefined : { isLate: firstSentAt >= leaseEndsAt() }
    return findingOf(claim, settlement.kind, found, unanswered)
  }

  private updateFor(request: SettleRequest): Pipeline {
    return settledAs(request.settlement, this.leavingOf(request))
  }

  private leavingOf({ claim, report }: SettleRequest): Settler {
    return { settledBy: claim.token, report, keepFailed: this.#keepFailed }
  }
}

/**
 * Matches the tasks that still carry the tokens of these claims. Each token belongs to one claim, so no task matches by
 * the token of another.
 */
export function heldByAny(claims: readonly Claim[]): Filter {
  return { _id: { $in: claims.map(({ task }) => task._id) }, 'claim.token': { $in: claims.map(({ token }) => token) } }
}

// Invariant 2: a write under a token that the task no longer carries changes nothing.
function heldBy({ task, token }: Claim): Filter {
  return { _id: task._id, 'claim.token': token }
}

/**
 * Whether the settlement deletes the task. A done task that was taken over is kept, for its former holder; that of a
 * schedule's tick, so that no slower master adds it again.
 */
function isDeletion({ claim, settlement }: SettleRequest): boolean {
  const isKept = claim.isTakenOver || claim.task.idHeldFor !== undefined
  return settlement.kind === 'done' && settlement.kept === undefined && !isKept
}

function noRoomForResult(): UnsendableValueError {
  return new UnsendableValueError('the result of the task', 'its document has no room for it', 'a document of 16 MB')
}

function asCancelled(request: SettleRequest): SettleRequest {
  return { ...request, settlement: { kind: 'cancelled', hasStarted: true } }
}

function asKept(request: SettleRequest): SettleRequest {
  const { settlement } = request
  return settlement.kind === 'done'
    ? { ...request, settlement: { ...settlement, kept: storedResult(settlement.value) } }
    : request
}

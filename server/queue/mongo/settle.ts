import type { TaskFailure } from '../../../common/task'
import type { Claim, ClaimEnd, ClaimStore, Ending, Fate } from '../claim'
import { heldByAny, heldTokens } from './held'
import {
  DURABLE,
  type Pipeline,
  type RawCollection,
  doneBy,
  failed,
  isTooLarge,
  released,
  retried,
  withError,
} from './updates'

/** How claims of the persistent queue end. Each write names the token that it expects. */
export class ClaimEnds implements ClaimStore {
  readonly hasLeases = true
  readonly #tasks: RawCollection
  readonly #keepFailed: number | null

  /** @param keepFailed milliseconds for which failed tasks are kept, or null for good */
  constructor(tasks: RawCollection, keepFailed: number | null) {
    this.#tasks = tasks
    this.#keepFailed = keepFailed
  }

  async end(ends: readonly ClaimEnd[]): Promise<ReadonlySet<Claim>> {
    const written = await Promise.all([this.remove(ends.filter(leavesNothing)), this.update(ends.filter(leavesTask))])
    return new Set(written.flat())
  }

  async endAgain(end: ClaimEnd): Promise<boolean> {
    return (await this.endOne(end)) || (await this.isWritten(end))
  }

  async fateOf({ task, token }: Claim): Promise<Fate> {
    const found = await this.#tasks.findOne({ _id: task._id }, { projection: { state: 1, cancelledToken: 1 } })
    if (found === null) return 'removed'
    return found.state === 'cancelled' && found.cancelledToken === token ? 'cancelled' : 'taken'
  }

  /**
   * A task that is gone does not tell by whom: so it is looked up first which are still held. (A transaction would tell too; but that of a
   * master which is killed stays open for a minute, and nobody else can write its tasks meanwhile.)
   */
  private async remove(ends: readonly ClaimEnd[]): Promise<Claim[]> {
    if (ends.length < 2) return settleEach(ends, end => this.endOne(end))
    const tokens = await heldTokens(
      this.#tasks,
      ends.map(({ claim }) => claim),
    )
    const held = ends.filter(({ claim }) => tokens.has(claim.token))
    const claims = held.map(({ claim }) => claim)
    const { deletedCount } = await this.#tasks.deleteMany(heldByAny(claims), DURABLE)
    if (deletedCount === held.length) return claims
    // What is gone was held when its job had ended, whoever removed it since.
    return settleEach(held, ({ claim }) => this.isCompleted(claim))
  }

  private async update(ends: readonly ClaimEnd[]): Promise<Claim[]> {
    if (ends.length > 1 && (await this.updateAll(ends))) return ends.map(({ claim }) => claim)
    return settleEach(ends, end => (ends.length === 1 ? this.endOne(end) : this.endAgain(end)))
  }

  /** @returns false when some may not be written */
  private async updateAll(ends: readonly ClaimEnd[]): Promise<boolean> {
    const writes = ends.map(({ claim, ending }) => ({
      updateOne: { filter: heldBy(claim), update: this.updateFor(claim, ending) },
    }))
    try {
      const { matchedCount } = await this.#tasks.bulkWrite(writes, { ...DURABLE, ordered: false })
      return matchedCount === ends.length
    } catch (error) {
      // Which of the writes were made is looked up.
      if ('writeErrors' in (error as object)) return false
      throw error
    }
  }

  private async endOne({ claim, ending }: ClaimEnd): Promise<boolean> {
    if (leavesNothing({ claim, ending })) {
      const { deletedCount } = await this.#tasks.deleteOne(heldBy(claim), DURABLE)
      return deletedCount === 1
    }
    try {
      return await this.updateOne(claim, this.updateFor(claim, ending))
    } catch (thrown) {
      if (!isTooLarge(thrown)) throw thrown
      // A document by hand may leave no room for the error; it ends all the same.
      return this.updateOne(claim, this.updateWithoutError(claim, ending))
    }
  }

  private async updateOne(claim: Claim, update: Pipeline): Promise<boolean> {
    const { matchedCount } = await this.#tasks.updateOne(heldBy(claim), update, DURABLE)
    return matchedCount === 1
  }

  private updateFor(claim: Claim, ending: Ending): Pipeline {
    const update = this.updateWithoutError(claim, ending)
    return 'error' in ending ? [...update, ...withError(ending.error)] : update
  }

  private updateWithoutError({ token }: Claim, ending: Ending): Pipeline {
    switch (ending.kind) {
      case 'completed':
        return doneBy(token)
      case 'failed':
        return failed(ending.counts, this.#keepFailed)
      case 'retried':
        return retried(ending.counts, ending.delay)
      case 'released':
        return released(ending)
    }
  }

  /** Whether the queue is as this end would leave it. */
  private async isWritten({ claim, ending }: ClaimEnd): Promise<boolean> {
    switch (ending.kind) {
      case 'completed':
        return this.isCompleted(claim)
      case 'failed':
      case 'retried':
        return this.isRecorded(claim, ending.error)
      case 'released':
        // Without the token the task is somebody else's to run, which is what giving it back is for; unless nobody is to run it.
        return (await this.fateOf(claim)) !== 'cancelled'
    }
  }

  private async isCompleted({ task, token }: Claim): Promise<boolean> {
    const found = await this.#tasks.findOne({ _id: task._id }, { projection: { state: 1, doneToken: 1 } })
    return found === null || (found.state === 'done' && found.doneToken === token)
  }

  private async isRecorded({ task }: Claim, { failedAt }: TaskFailure): Promise<boolean> {
    return (await this.#tasks.countDocuments({ _id: task._id, 'error.failedAt': failedAt })) === 1
  }
}

/** Of a task that was taken over, `doneBy` stays. */
function leavesNothing({ claim, ending }: ClaimEnd): boolean {
  return ending.kind === 'completed' && !claim.isTakenOver
}

function leavesTask(end: ClaimEnd): boolean {
  return !leavesNothing(end)
}

function heldBy({ task, token }: Claim): { readonly _id: string; readonly 'claim.token': string } {
  return { _id: task._id, 'claim.token': token }
}

async function settleEach(ends: readonly ClaimEnd[], settle: (end: ClaimEnd) => Promise<boolean>): Promise<Claim[]> {
  const isWritten = await Promise.all(ends.map(settle))
  return ends.filter((_end, index) => isWritten[index]).map(({ claim }) => claim)
}

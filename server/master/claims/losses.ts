import { LeaseLostError, TaskCancelledError, messageOf } from '../../../common/errors'
import type { Log } from '../../../common/log'
import type { Claim, Fate } from '../../queue/claim'
import type { Events } from './events'
import type { Leases } from './claims'

export interface LossesParts {
  readonly leases: Leases
  readonly events: Events
  readonly log: Log
  /** Has the job of a claim end early, if it is still running. */
  readonly abort: (claim: Claim, reason: Error) => void
}

/** The claims that turned out to be void: each is told of once, and what its job reports is ignored. */
export class Losses {
  readonly #parts: LossesParts
  /** Tokens, until their jobs have ended. */
  readonly #void = new Set<string>()

  constructor(parts: LossesParts) {
    this.#parts = parts
  }

  /** Whether what the job of this claim says still counts. */
  isValid(claim: Claim): boolean {
    return !this.#void.has(claim.token) && this.#parts.leases.isValid(claim)
  }

  /** The claim of a job that has not ended is void. @param fate why, where that is known. Never rejects. */
  async lost(claim: Claim, fate?: Fate): Promise<void> {
    if (this.#void.has(claim.token)) return
    this.#void.add(claim.token)
    this.#parts.leases.forget(claim)
    await this.tell(claim, fate)
  }

  /** The job has ended. @returns whether its claim was void, and told of */
  jobEnded({ token }: Claim): boolean {
    return this.#void.delete(token)
  }

  /** Never rejects. */
  async tell(claim: Claim, fate?: Fate): Promise<void> {
    const { abort, events, log } = this.#parts
    const { task } = claim
    switch (fate ?? (await this.fateOf(claim))) {
      case 'removed':
        log.taskError(task, 'lease lost: the task was removed; what its job reports is ignored')
        return
      case 'cancelled':
        log.task(task, 'cancelled')
        abort(claim, new TaskCancelledError())
        await events.tellCancelled(task)
        return
      case 'taken':
        log.taskError(task, 'lease lost: the task was taken by another; what its job reports is ignored')
        abort(claim, new LeaseLostError())
        await events.tell('stalled', { task })
    }
  }

  /** Whatever it is, the claim is void: when the database cannot tell why, the worst is assumed. */
  private async fateOf(claim: Claim): Promise<Fate> {
    try {
      return await claim.store.fateOf(claim)
    } catch (error) {
      this.#parts.log.taskError(claim.task, `cannot find out what became of it: ${messageOf(error)}`)
      return 'taken'
    }
  }
}

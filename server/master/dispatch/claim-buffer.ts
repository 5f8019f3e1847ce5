import { compareTasks } from '../../../common/order'
import type { Claim } from '../../queue/claim'
import { OrderedQueue } from '../../queue/memory/priority-queue'

/** The claimed tasks that no worker has yet, in their order. */
export class JobsInHand {
  readonly #claims = new OrderedQueue<Claim>((a, b) => compareTasks(a.task, b.task))
  /** Of them, or lower. */
  #lowestPriority = Infinity

  get size(): number {
    return this.#claims.size
  }

  /** -Infinity when there are none. */
  get highestPriority(): number {
    return this.#claims.first()?.task.priority ?? -Infinity
  }

  add(claim: Claim): void {
    this.#claims.add(claim)
    this.#lowestPriority = Math.min(this.#lowestPriority, claim.task.priority)
  }

  take(): Claim | undefined {
    const claim = this.#claims.take()
    if (this.#claims.size === 0) this.#lowestPriority = Infinity
    return claim
  }

  takeAll(): Claim[] {
    const claims: Claim[] = []
    for (let claim = this.take(); claim; claim = this.take()) claims.push(claim)
    return claims
  }

  /** All but the first so many. */
  takeAllBut(count: number): Claim[] {
    const claims = this.takeAll()
    for (const claim of claims.splice(0, count)) this.add(claim)
    return claims
  }

  /** Whether a task of this priority may come before one of them. */
  wouldOvertake(priority: number): boolean {
    return priority > this.#lowestPriority
  }
}

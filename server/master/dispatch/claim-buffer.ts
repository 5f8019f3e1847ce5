import { compareTasks } from '../../../common/order'
import { PriorityQueue } from '../../queue/memory/priority-queue'
import type { HeldClaim } from '../claims/held-claim'

/** The claims whose jobs no worker has, in the order of their tasks. */
export class ClaimBuffer {
  readonly #claims = new PriorityQueue<HeldClaim>((a, b) => compareTasks(a.claim.task, b.claim.task))
  /** Of the buffered tasks, or lower. */
  #lowestPriority = Infinity

  get size(): number {
    return this.#claims.size
  }

  add(held: HeldClaim): void {
    this.#claims.add(held)
    this.#lowestPriority = Math.min(this.#lowestPriority, held.claim.task.priority)
  }

  shift(): HeldClaim | undefined {
    const held = this.#claims.take()
    if (this.#claims.size === 0) this.#lowestPriority = Infinity
    return held
  }

  remove(held: HeldClaim): void {
    this.#claims.retain(other => other !== held)
    if (this.#claims.size === 0) this.#lowestPriority = Infinity
  }

  clear(): HeldClaim[] {
    const helds: HeldClaim[] = []
    for (let held = this.shift(); held; held = this.shift()) helds.push(held)
    return helds
  }

  /** Removes all but the first `count`. */
  clearAfter(count: number): HeldClaim[] {
    const helds = this.clear()
    for (const held of helds.splice(0, count)) this.add(held)
    return helds
  }

  /** Whether a task of this priority may come before one of them. */
  wouldOvertake(priority: number): boolean {
    return priority > this.#lowestPriority
  }
}

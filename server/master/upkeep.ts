import type { Log } from '../../common/log'
import type { Housekeeping } from '../queue/housekeeping'
import { isGone } from '../queue/owner'
import { endOrphans } from './orphans'

/** Keeps the persistent queue in order, at every tick: what is not about this master's own claims. */
export class Upkeep {
  readonly #queue: Housekeeping
  readonly #log: Log
  #isPrepared = false

  constructor(queue: Housekeeping, log: Log) {
    this.#queue = queue
    this.#log = log
  }

  /** Nothing may be claimed before. */
  get isPrepared(): boolean {
    return this.#isPrepared
  }

  /**
   * @returns false when there was nothing to do, and there is nothing to claim
   * @throws when the database is away; what was not done is done the next time
   */
  async run(): Promise<boolean> {
    if (!this.#isPrepared) await this.prepare()
    if (!(await this.#queue.needsAttention())) return false
    await this.#queue.adopt(false)
    await this.#queue.promoteDue()
    const count = await this.#queue.releaseExpired()
    if (count > 0) this.#log.warn(`${String(count)} tasks of a master that did not renew its leases run again`)
    return true
  }

  private async prepare(): Promise<void> {
    await this.#queue.createIndexes()
    await this.#queue.adopt(true)
    const former = (await this.#queue.owners()).filter(isGone)
    await endOrphans()
    const count = await this.#queue.releaseAllOf(former)
    if (count > 0) this.#log.warn(`${String(count)} unfinished tasks of a former master on this machine run again`)
    this.#isPrepared = true
  }
}

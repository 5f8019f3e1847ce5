import type { Log } from '../../common/log'
import type { Claims } from '../queue/claims'
import { isGone } from '../queue/owner'
import { endOrphans } from './orphans'

/** Keeps the persistent queue in order, at every tick: what is not about this master's own claims. */
export class Upkeep {
  readonly #claims: Claims
  readonly #log: Log
  #isPrepared = false

  constructor(claims: Claims, log: Log) {
    this.#claims = claims
    this.#log = log
  }

  /** Nothing may be claimed before. */
  get isPrepared(): boolean {
    return this.#isPrepared
  }

  /** @throws when the database is away; what was not done is done the next time */
  async run(): Promise<void> {
    if (!this.#isPrepared) await this.prepare()
    await this.#claims.adopt(false)
    await this.#claims.followDueDates()
    const count = await this.#claims.releaseExpired()
    if (count > 0) this.#log.warn(`${String(count)} tasks of a master that did not renew its leases run again`)
  }

  private async prepare(): Promise<void> {
    await this.#claims.createIndexes()
    await this.#claims.adopt(true)
    const former = (await this.#claims.owners()).filter(isGone)
    await endOrphans()
    const count = await this.#claims.releaseAllOf(former)
    if (count > 0) this.#log.warn(`${String(count)} unfinished tasks of a former master on this machine run again`)
    this.#isPrepared = true
  }
}

import { Meteor } from 'meteor/meteor'
import { monotonicNow } from '../../../common/clock'
import { messageOf } from '../../../common/errors'
import { createId } from '../../../common/id'
import type { Log } from '../../../common/log'
import type { Task } from '../../../common/task'
import type { Claim } from '../../queue/claim'
import type { Claims } from '../../queue/mongo/claim'
import { isOfBatch } from '../../queue/mongo/schema'

/** A lease survives a renewal that fails, and one that comes late. */
const RENEWALS_PER_LEASE = 3

interface Held {
  readonly claim: Claim
  /** Its end is being written: the token may be gone from the database before `forget`. */
  isEnding: boolean
  /** On the monotonic clock; never later than the database has it, since it counts from before the write. */
  expiresAt: number
}

/**
 * The claims that this master has in hand. It renews exactly these, so that a job may block its worker for as long as it
 * likes, and gives back what it finds under its name in the database and does not know: a claim whose acknowledgement was
 * lost on the way.
 */
export class Leases {
  readonly #claims: Claims
  readonly #duration: number
  readonly #log: Log
  /** By token. */
  readonly #held = new Map<string, Held>()
  /** The first parts of the tokens of claims that are on their way. */
  readonly #inFlight = new Set<string>()
  #onLost: (claim: Claim) => void = () => undefined
  #interval: number | undefined
  #isRenewing = false
  /** Since a claim failed, which may have been made all the same. */
  #isUnsure = false

  /** @param duration milliseconds */
  constructor(claims: Claims, duration: number, log: Log) {
    this.#claims = claims
    this.#duration = duration
    this.#log = log
  }

  /** Called once for each claim in hand that turns out to be valid no more. */
  onLost(listener: (claim: Claim) => void): void {
    this.#onLost = listener
  }

  /** Takes the next tasks that are due, in their order. @param limit how many at most, from 1 */
  claim(limit: number): Promise<Claim[]> {
    return this.hold(batch => this.#claims.claim(batch, limit))
  }

  /** Stores a new task as a claim of this master. @returns none when its `_id` is taken */
  insert(task: Task): Promise<Claim[]> {
    return this.hold(async batch => {
      const claim = await this.#claims.insert(batch, task)
      return claim === undefined ? [] : [claim]
    })
  }

  private async hold(take: (batch: string) => Promise<Claim[]>): Promise<Claim[]> {
    const batch = createId()
    const expiresAt = monotonicNow() + this.#duration
    this.#inFlight.add(batch)
    try {
      const claims = await take(batch)
      for (const claim of claims) this.#held.set(claim.token, { claim, expiresAt, isEnding: false })
      return claims
    } catch (error) {
      this.#isUnsure = true
      throw error
    } finally {
      this.#inFlight.delete(batch)
    }
  }

  /** The moment, on the monotonic clock, from which this claim's job must not be started any more. */
  expiryOf({ token }: Claim): number | undefined {
    return this.#held.get(token)?.expiresAt
  }

  claimWith(token: string): Claim | undefined {
    return this.#held.get(token)?.claim
  }

  get areNone(): boolean {
    return this.#held.size === 0
  }

  /** Whether this claim is certain to be valid: its lease has not run out, as far as this master knows. */
  isValid(claim: Claim): boolean {
    const held = this.#held.get(claim.token)
    return !claim.store.hasLeases || (held !== undefined && monotonicNow() < held.expiresAt)
  }

  /** The end of this claim is about to be written. */
  end({ token }: Claim): void {
    const held = this.#held.get(token)
    if (held !== undefined) held.isEnding = true
  }

  /** The end of this claim is written. */
  forget({ token }: Claim): void {
    this.#held.delete(token)
  }

  /** From now on renews, by a timer of its own, since a look at the queue may take long. */
  start(): void {
    this.#interval ??= Meteor.setInterval(() => void this.renew(), this.#duration / RENEWALS_PER_LEASE)
  }

  stop(): void {
    if (this.#interval !== undefined) Meteor.clearInterval(this.#interval)
    this.#interval = undefined
  }

  /** Lets go of the claims that somebody cancelled. @throws when the database is away */
  async dropCancelled(): Promise<void> {
    const held = [...this.#held.values()]
    if (held.length === 0) return
    const cancelled = await this.#claims.cancelledAmong(held.map(({ claim }) => claim))
    for (const entry of held) if (cancelled.has(entry.claim.token)) this.lose(entry)
  }

  /** When the database is away the leases run on, and the next renewal may still be in time. */
  private async renew(): Promise<void> {
    if (this.#isRenewing || (this.#held.size === 0 && !this.#isUnsure)) return
    this.#isRenewing = true
    try {
      await this.renewHeld()
      await this.giveBackUnknown()
    } catch (error) {
      this.#log.error(`cannot renew the leases, trying again: ${messageOf(error)}`)
    }
    this.#isRenewing = false
  }

  private async renewHeld(): Promise<void> {
    const held = [...this.#held.values()]
    if (held.length === 0) return
    const expiresAt = monotonicNow() + this.#duration
    const valid = await this.#claims.renew(held.map(({ claim }) => claim))
    for (const entry of held) {
      if (valid.has(entry.claim.token)) entry.expiresAt = expiresAt
      else this.lose(entry)
    }
  }

  private lose({ claim, isEnding }: Held): void {
    if (!isEnding && this.#held.delete(claim.token)) this.#onLost(claim)
  }

  /**
   * Gives back the claims that the database has under this master's name, and that it does not know. One that arrives while the
   * database is asked is known afterwards; one that ends meanwhile was known before.
   *
   * @throws when the database is away
   */
  async giveBackUnknown(): Promise<void> {
    const before = new Set(this.#held.keys())
    const own = await this.#claims.findOwn()
    this.#isUnsure = false
    const unknown = own.filter(({ token }) => !before.has(token) && !this.#held.has(token) && !this.isInFlight(token))
    const ending = { kind: 'released', hasStarted: false } as const
    const released = await this.#claims.ends.end(unknown.map(claim => ({ claim, ending })))
    for (const { task } of released) this.#log.taskError(task, 'given back: this master never got its claim')
  }

  private isInFlight(token: string): boolean {
    return [...this.#inFlight].some(batch => isOfBatch(batch, token))
  }
}

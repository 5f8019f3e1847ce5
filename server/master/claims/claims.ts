import { createId } from '../../../common/id'
import type { Task } from '../../../common/task'
import type { Claim, Loss } from '../../queue/claim'
import type { MongoClaims } from '../../queue/mongo/claims/claim'
import { Ticks } from '../../ticks'
import type { Outage } from '../outage'
import type { Admission } from './admission'
import { HeldClaim } from './held-claim'
import { Lease } from './lease'

/** A lease survives one renewal that fails, or one that is late. */
const RENEWALS_PER_LEASE = 3

/** Hears what others do to a claim while it is held. */
export interface ClaimsListener {
  /** The task is to be cancelled. Called once for each claim. */
  claimToCancel(held: HeldClaim): void
  /** The claim is void: its task was removed, or taken over. Called once for each claim. */
  claimLost(held: HeldClaim, loss: Loss): void
}

/** The result of a fetch. */
export interface HeldClaims {
  readonly claims: readonly HeldClaim[]
  /** Whether as many tasks waited as were asked for. */
  readonly mayBeMore: boolean
}

export interface ClaimsParts {
  readonly admission: Admission
  readonly queue: MongoClaims
  /** Milliseconds. */
  readonly leaseDuration: number
  readonly outage: Outage
}

/**
 * The registry of the claims that this master holds, in either queue. It renews their leases, and no others, by a timer
 * of its own, so a job may block its worker for any length of time. A claim whose acknowledgement was lost is not in
 * the registry: it is not renewed, expires, and is rescued like any other.
 */
export class Claims {
  readonly #parts: ClaimsParts
  /** By token. */
  readonly #held = new Map<string, HeldClaim>()
  #listener: ClaimsListener | undefined
  readonly #fetches = new Set<Promise<unknown>>()
  readonly #renewals = new Ticks(() => void this.renew())
  #renewing: Promise<void> | undefined
  /** The look-up of cancel requests that is in flight, and the next one. */
  #finding: { readonly inFlight?: Promise<void>; next?: Promise<void> } = {}

  constructor(parts: ClaimsParts) {
    this.#parts = parts
  }

  listen(listener: ClaimsListener): void {
    this.#listener = listener
  }

  /** Claims the next due tasks, in their order. @param limit the most tasks to claim, from 1 */
  fetch(limit: number): Promise<HeldClaims> {
    return this.inFlight(async (batch, lease) => {
      const { claims, mayBeMore } = await this.#parts.queue.claim(batch, limit)
      return { claims: claims.map(claim => this.hold(claim, lease)), mayBeMore }
    })
  }

  /** Stores a new task already claimed. @throws DuplicateTaskError (rejects) */
  addClaimed(task: Task): Promise<HeldClaim> {
    return this.inFlight(async (batch, lease) => this.hold(await this.#parts.queue.addClaimed(batch, task), lease))
  }

  /** Adds a claim to the registry. @param lease undefined for an in-memory claim */
  hold(claim: Claim, lease?: Lease): HeldClaim {
    const held = new HeldClaim(claim, lease)
    this.#held.set(claim.token, held)
    this.#parts.admission.claimed(claim.task.taskType)
    return held
  }

  get(token: string): HeldClaim | undefined {
    return this.#held.get(token)
  }

  /** Whether a persistent task of this `_id` is held. */
  holds(_id: string): boolean {
    return this.leased().some(({ claim }) => claim.task._id === _id)
  }

  /** Whether a task of this `_id` is held, or may be in a fetch in flight. */
  mayHold(_id: string): boolean {
    return this.#fetches.size > 0 || this.holds(_id)
  }

  /** Whether a job waits for a worker. */
  get hasBuffered(): boolean {
    for (const { place } of this.#held.values()) if (place === 'buffered') return true
    return false
  }

  /** How many jobs wait for a worker. */
  get buffered(): number {
    return [...this.#held.values()].filter(({ place }) => place === 'buffered').length
  }

  /** The claims of these types whose jobs were sent, and have not been reported as started. */
  sentOf(taskTypes: readonly string[]): Claim[] {
    const sent = [...this.#held.values()].filter(({ place }) => place === 'sent').map(({ claim }) => claim)
    return sent.filter(({ task }) => taskTypes.includes(task.taskType))
  }

  /** The tokens of the persistent claims, including those whose settlement is being written. */
  get tokens(): string[] {
    return this.leased().map(({ claim }) => claim.token)
  }

  /** Whether the job of this claim may start: as far as this master knows, the lease has not expired. */
  isValid({ lease, validity }: HeldClaim): boolean {
    return validity === 'held' && lease?.isOver !== true
  }

  /**
   * Whether this claim still counts. An expired lease is renewed first, since a late renewal is as good as one in time.
   */
  async confirm(held: HeldClaim): Promise<boolean> {
    // Two tries, since the first may join a renewal that began before the lease expired.
    for (let tries = 0; tries < 2 && held.validity === 'held' && !this.isValid(held); tries++) await this.renew()
    return this.isValid(held)
  }

  /** No worker and no buffer has the job of this claim any more. */
  jobLeft(held: HeldClaim): void {
    held.moveTo('left')
    this.#parts.admission.left(held.claim.task.taskType)
  }

  /** Removes a claim from the registry if its job has left and it is settled or void. */
  forgetIfOver(held: HeldClaim): void {
    if (held.isOver) this.#held.delete(held.claim.token)
  }

  /**
   * Requests the cancel of the task whose claim has this token. If another master holds the claim, it hears of the
   * request itself.
   */
  requestCancel(token: string): void {
    const held = this.#held.get(token)
    if (held !== undefined) this.markRequested(held)
    else this.findCancelRequestsFetched()
  }

  /** Makes the claim with this token void. */
  lose(token: string, loss: Loss): void {
    const held = this.#held.get(token)
    // While a settlement is being written, its verdict is more exact.
    if (held?.validity !== 'held') return
    held.become('void')
    this.#listener?.claimLost(held, loss)
  }

  /**
   * Asks the database for requests to cancel the tasks of the held claims, and those of fetches in flight.
   *
   * @throws if the database is away (rejects)
   */
  findCancelRequests(): Promise<void> {
    this.findCancelRequestsFetched()
    return this.findCancelRequestsHeld()
  }

  /** Asks once the fetches in flight are over. If the database is away, the next renewal finds the requests. */
  private findCancelRequestsFetched(): void {
    if (this.#fetches.size === 0) return
    void Promise.allSettled(this.#fetches)
      .then(() => this.findCancelRequestsHeld())
      .catch(() => undefined)
  }

  private findCancelRequestsHeld(): Promise<void> {
    // One look-up at a time: requests for another are merged into the next.
    const { inFlight } = this.#finding
    this.#finding.next ??= (inFlight ?? Promise.resolve()).then(() => {
      const finding = this.findRequestsAmong(this.leased())
      const settled = finding.catch(() => undefined)
      this.#finding = { inFlight: settled, next: undefined }
      return finding
    })
    return this.#finding.next
  }

  /** Resolves when no fetch is in flight. */
  async fetched(): Promise<void> {
    while (this.#fetches.size > 0) await Promise.allSettled(this.#fetches)
  }

  /** Starts renewing the leases. */
  start(): void {
    this.#renewals.start(this.#parts.leaseDuration / RENEWALS_PER_LEASE)
  }

  stop(): void {
    this.#renewals.stop()
  }

  /** @param fetch claims tasks, and adds the claims to the registry */
  private async inFlight<Held>(fetch: (batch: string, lease: Lease) => Promise<Held>): Promise<Held> {
    const fetching = fetch(createId(), new Lease(this.#parts.leaseDuration))
    this.#fetches.add(fetching)
    try {
      return await fetching
    } finally {
      this.#fetches.delete(fetching)
    }
  }

  private async findRequestsAmong(claims: readonly HeldClaim[]): Promise<void> {
    const unknown = claims.filter(({ isCancelRequested, validity }) => !isCancelRequested && validity === 'held')
    if (unknown.length === 0) return
    const requested = await this.#parts.queue.cancelRequestedAmong(unknown.map(({ claim }) => claim))
    for (const held of unknown) if (requested.has(held.claim.token)) this.markRequested(held)
  }

  private markRequested(held: HeldClaim): void {
    if (held.isCancelRequested || held.validity !== 'held') return
    held.isCancelRequested = true
    this.#listener?.claimToCancel(held)
  }

  private leased(): HeldClaim[] {
    const hasLease = ({ claim, validity }: HeldClaim) =>
      !claim.inMemory && (validity === 'held' || validity === 'settling')
    return [...this.#held.values()].filter(hasLease)
  }

  /** Renews all leases; a call during a renewal joins it. Never rejects. */
  private async renew(): Promise<void> {
    this.#renewing ??= this.renewAll().finally(() => {
      this.#renewing = undefined
    })
    await this.#renewing
  }

  /**
   * While the database is away, the leases run out. A later renewal is as good as one in time, unless another master
   * has taken the task over.
   */
  private async renewAll(): Promise<void> {
    const claims = this.leased()
    if (claims.length === 0) return
    try {
      await this.renewLeasesOf(claims)
      await this.findRequestsAmong(claims)
      this.#parts.outage.succeeded(this)
    } catch (error) {
      // Invariant 10: the database going away does not end running jobs.
      this.#parts.outage.failed(this, error)
    }
  }

  private async renewLeasesOf(claims: readonly HeldClaim[]): Promise<void> {
    const lease = new Lease(this.#parts.leaseDuration)
    const exceptions = await this.#parts.queue.renew(claims.map(({ claim }) => claim))
    for (const held of claims) {
      const exception = exceptions.get(held.claim.token)
      if (exception === undefined) held.lease = lease
      else if (exception !== 'refused') this.lose(held.claim.token, exception)
    }
  }
}

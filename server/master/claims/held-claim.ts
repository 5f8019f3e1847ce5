import type { Claim } from '../../queue/claim'
import { JobReport } from './job-report'
import type { Lease } from './lease'

/**
 * Where the job of a claim is:
 *
 * | place    | entered when                                   | until                                        |
 * | buffered | the claim was fetched, or its job was returned | it is sent to a worker, or released          |
 * | sent     | the job was sent to a worker                   | the worker starts or returns it              |
 * | started  | the worker is about to call the task function  | the job has an outcome, or its worker exited |
 * | left     | no worker and no buffer has the job            |                                              |
 */
export type Place = 'buffered' | 'sent' | 'started' | 'left'

/**
 * Whether the claim still counts:
 *
 * | validity | entered when                                       | until                                |
 * | held     | the claim was fetched                              | its settlement begins, or it is lost |
 * | settling | its settlement begins                              | there is a verdict                   |
 * | settled  | the settlement is written                          |                                      |
 * | void     | the task was found to carry another token, or none |                                      |
 */
export type Validity = 'held' | 'settling' | 'settled' | 'void'

const PLACES_AFTER: Readonly<Record<Place, readonly Place[]>> = {
  buffered: ['sent', 'left'],
  sent: ['started', 'buffered', 'left'],
  started: ['left'],
  left: [],
}

const VALIDITIES_AFTER: Readonly<Record<Validity, readonly Validity[]>> = {
  held: ['settling', 'settled', 'void'],
  settling: ['settled', 'void'],
  settled: [],
  void: [],
}

/** One claim of this master, from its fetch until its job has left and the claim is settled or void. */
export class HeldClaim {
  readonly claim: Claim
  /** Undefined for an in-memory claim. */
  lease: Lease | undefined
  isCancelRequested: boolean
  readonly report: JobReport
  #place: Place = 'buffered'
  #validity: Validity = 'held'

  constructor(claim: Claim, lease: Lease | undefined) {
    this.claim = claim
    this.lease = lease
    this.isCancelRequested = claim.isCancelRequested
    this.report = new JobReport(claim.task)
  }

  get place(): Place {
    return this.#place
  }

  get validity(): Validity {
    return this.#validity
  }

  get isOver(): boolean {
    return this.#place === 'left' && (this.#validity === 'settled' || this.#validity === 'void')
  }

  moveTo(place: Place): void {
    assertTransition(this, PLACES_AFTER[this.#place].includes(place), this.#place, place)
    this.#place = place
  }

  become(validity: Validity): void {
    assertTransition(this, VALIDITIES_AFTER[this.#validity].includes(validity), this.#validity, validity)
    this.#validity = validity
  }
}

function assertTransition({ claim: { task } }: HeldClaim, isAllowed: boolean, from: string, to: string): void {
  if (isAllowed) return
  throw new Error(`nschwarz:cluster: the claim of ${task.taskType}:${task._id} cannot go from ${from} to ${to}`)
}

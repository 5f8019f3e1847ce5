import type { Definitions } from '../../../common/task-map'
import type { Rooms } from '../../queue/claim'

/** Hears that tasks which were left waiting may be claimed. */
export interface AdmissionListener {
  roomMade(): void
}

/** Decides how many more tasks of each type this master may take: no more than the `perMaster` of the type. */
export class Admission implements Rooms {
  readonly #definitions: Definitions
  #listener: AdmissionListener | undefined
  /** By type, if it has a `perMaster`: how many claims this master holds whose job has not left. */
  readonly #held = new Map<string, number>()

  constructor(definitions: Definitions) {
    this.#definitions = definitions
  }

  listen(listener: AdmissionListener): void {
    this.#listener = listener
  }

  /**
   * How many more tasks of this type may be claimed. It is negative if too many were: both queues had one at the same
   * time.
   */
  roomOf(taskType: string): number {
    const limit = this.limitOf(taskType)
    return limit === undefined ? Infinity : limit - this.heldOf(taskType)
  }

  /** Whether this master may claim any number of tasks of this type. */
  isUnlimited(taskType: string): boolean {
    // Invariant 6: a master claims only the task types of its own task map.
    return this.#definitions.has(taskType) && this.roomOf(taskType) === Infinity
  }

  claimed(taskType: string): void {
    if (this.limitOf(taskType) !== undefined) this.#held.set(taskType, this.heldOf(taskType) + 1)
  }

  /** The job of a claim has left. */
  left(taskType: string): void {
    if (this.limitOf(taskType) === undefined) return
    this.#held.set(taskType, this.heldOf(taskType) - 1)
    this.#listener?.roomMade()
  }

  private limitOf(taskType: string): number | undefined {
    return this.#definitions.get(taskType)?.perMaster
  }

  private heldOf(taskType: string): number {
    return this.#held.get(taskType) ?? 0
  }
}

import type { Definitions } from '../../../common/task-map'
import type { Rooms } from '../../queue/claim'

/** Hears what changes which tasks may be claimed. */
export interface AdmissionListener {
  /** Tasks that were left waiting may be claimed. */
  capacityFreed(): void
  pausesChanged(paused: readonly string[], resumed: readonly string[]): void
}

/**
 * Decides how many more tasks of each type this master may take, in either queue: none of a paused type, and no more
 * than its `perMaster`.
 */
export class Admission implements Rooms {
  readonly #definitions: Definitions
  #listener: AdmissionListener | undefined
  /** By type, if it has a `perMaster`: how many claims this master holds whose job has not left. */
  readonly #held = new Map<string, number>()
  #paused: ReadonlySet<string> = new Set()
  /** Whether the stored pauses were read: a type may be paused since before this master started. */
  #arePausesKnown: boolean
  /** How often this process or its workers have paused or resumed a type. */
  #changes = 0

  /** @param readsPauses whether the stored pauses will be read: nothing may be claimed before that */
  constructor(definitions: Definitions, readsPauses = false) {
    this.#definitions = definitions
    this.#arePausesKnown = !readsPauses
  }

  listen(listener: AdmissionListener): void {
    this.#listener = listener
  }

  /**
   * How many more tasks of this type may be claimed. It is negative if too many were: the type was paused afterwards,
   * or both queues had one at the same time.
   */
  roomOf(taskType: string): number {
    if (!this.#arePausesKnown || this.#paused.has(taskType)) return -Infinity
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
    this.#listener?.capacityFreed()
  }

  /** The types that are paused, as far as this master knows. */
  get paused(): string[] {
    return [...this.#paused]
  }

  /** This process or one of its workers has paused or resumed a type. */
  setPaused(taskType: string, isPaused: boolean): void {
    this.#changes++
    const others = this.paused.filter(type => type !== taskType)
    this.replacePaused(isPaused ? [...others, taskType] : others)
  }

  /**
   * The stored pauses are about to be read.
   *
   * @returns what takes the paused types; it ignores them if `setPaused` was called meanwhile, which they may miss
   */
  readPauses(): (paused: readonly string[]) => void {
    const changes = this.#changes
    return paused => {
      if (changes !== this.#changes) return
      this.replacePaused(paused)
      if (this.#arePausesKnown) return
      this.#arePausesKnown = true
      this.#listener?.capacityFreed()
    }
  }

  private replacePaused(paused: readonly string[]): void {
    const before = this.#paused
    this.#paused = new Set(paused)
    const added = this.paused.filter(type => !before.has(type))
    const removed = [...before].filter(type => !this.#paused.has(type))
    if (added.length + removed.length > 0) this.#listener?.pausesChanged(added, removed)
  }

  private limitOf(taskType: string): number | undefined {
    return this.#definitions.get(taskType)?.perMaster
  }

  private heldOf(taskType: string): number {
    return this.#held.get(taskType) ?? 0
  }
}

/** Tasks that were added and come before some of those that were claimed and have not started: so many more are to be claimed. */
export class Overtakers {
  readonly #wouldOvertake: (priority: number) => boolean
  #count = 0
  #isClaiming = false
  /** Priorities of what was added while a claim is on its way: what that brings is not known yet. */
  #undecided: number[] = []

  /** @param wouldOvertake whether a task of this priority may come before one that was claimed and has not started */
  constructor(wouldOvertake: (priority: number) => boolean) {
    this.#wouldOvertake = wouldOvertake
  }

  get count(): number {
    return this.#count
  }

  added(priority: number): void {
    if (this.#wouldOvertake(priority)) this.#count++
    else if (this.#isClaiming) this.#undecided.push(priority)
  }

  /** A claim is sent, which takes them too. */
  claiming(): void {
    this.#count = 0
    // Left of one that failed.
    this.#undecided = []
    this.#isClaiming = true
  }

  /** What it brought is in hand. */
  claimed(): void {
    this.#isClaiming = false
    for (const priority of this.#undecided.splice(0)) this.added(priority)
  }
}

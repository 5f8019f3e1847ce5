/** Tasks that were added and come before some of those that were claimed and have not started: so many more are to be claimed. */
export class Overtakers {
  readonly #wouldOvertake: (priority: number) => boolean
  #count = 0
  /** Of them, those for which the claim that is on its way has no room. */
  #left = 0
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

  /** A claim of so many is sent, which takes them first. */
  claiming(limit: number): void {
    this.#left = Math.max(0, this.#count - limit)
    this.#count = 0
    // Left of one that failed.
    this.#undecided = []
    this.#isClaiming = true
  }

  /** What it brought is in hand. @param wereAll whether there was no more to claim */
  claimed(wereAll: boolean): void {
    this.#isClaiming = false
    if (!wereAll) this.#count += this.#left
    for (const priority of this.#undecided.splice(0)) this.added(priority)
  }
}

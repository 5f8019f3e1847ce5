import type { ChangeFeed } from '../../queue/mongo/change-feed'

/** After so many claims in a row that found all they asked for, there is more to do than there are workers for. */
const CLAIMS_OF_A_BACKLOG = 3

/** What is known of the tasks that wait: from claims, from the feed, and from who adds tasks in this process. */
export class Backlog {
  readonly #feed: ChangeFeed
  /** Whether the last look found nothing more, and nothing was heard of since. */
  #isDry = false
  #isSingle = true
  /** How many claims in a row found all that they asked for. */
  #fullClaims = 0

  constructor(feed: ChangeFeed) {
    this.#feed = feed
  }

  /** Without a feed nothing is known of what other processes have added meanwhile. */
  get isEmpty(): boolean {
    return this.#isDry && this.#feed.isOpen
  }

  /** Whether there was more than had been asked for, as far as is known: only then is it worth while to claim ahead. */
  get isLeft(): boolean {
    return this.#fullClaims > 0
  }

  /**
   * How many tasks to ask for: one, after a claim that found no second, since that takes one command instead of three.
   */
  limit(wanted: number): number {
    return this.#isSingle ? 1 : wanted
  }

  /** A task was added, or may be claimed again. */
  heard(): void {
    this.#isDry = false
  }

  /** The queue is asked: what is added from now on makes itself heard. */
  asked(): void {
    this.#isDry = true
  }

  claimed(count: number, limit: number): void {
    this.#isSingle = count < Math.min(limit, 2)
    if (count === limit) this.heard()
    this.#fullClaims = count === limit ? this.#fullClaims + 1 : 0
    // While there is a backlog nobody needs to be told that there is work: a feed costs the database a tenth of its
    // time.
    if (this.#fullClaims === 0) this.#feed.start()
    else if (this.#fullClaims === CLAIMS_OF_A_BACKLOG) void this.#feed.stop()
  }
}

/**
 * What one worker has at hand beyond the jobs that it runs lasts for about so long: longer than a message takes, and
 * not much.
 */
const AHEAD_MS = 4
const MOST_AHEAD = 64

/**
 * Of longer jobs one is worth having at hand, up to this duration: the way to the master and back takes some
 * milliseconds when all cpus are busy (measured: 3.5 between jobs of 100 ms).
 */
const LONGEST_AHEAD_MS = 250

/**
 * What this master holds for its workers lasts for about so long: much longer than a claim takes, of which each is
 * three commands.
 */
const IN_HAND_MS = 500
/** Two of the largest claims: while one is used up, the next is on its way. */
const MOST_IN_HAND = 1000

/**
 * What one worker has at hand goes in one message; what this master holds for all is in its memory. In bytes of BSON.
 */
const MOST_BYTES_AHEAD = 8 * 2 ** 20
const MOST_BYTES_IN_HAND = 64 * 2 ** 20

/** Of each new duration or size, in the mean. */
const WEIGHT = 0.25

/**
 * How long jobs take and how large they are, and so how many are worth having at hand before a worker is free for them.
 * Short jobs would else wait for messages and for the database; long ones are better left to whoever is free first.
 */
export class Prefetch {
  /** Milliseconds. As long as nothing is known, nothing is worth it. */
  #mean = Infinity
  #bytes = 0

  /** A longer job counts at once, a shorter one bit by bit. @param duration milliseconds */
  record(duration: number): void {
    this.#mean = this.#mean === Infinity ? duration : meanWith(duration, this.#mean)
  }

  /** A larger task counts at once, a smaller one bit by bit. */
  recordSize(bytes: number): void {
    this.#bytes = meanWith(bytes, this.#bytes)
  }

  /** Milliseconds for which a worker that has jobs to start may be busy with another. */
  get patience(): number {
    return 2 * Math.min(this.#mean, LONGEST_AHEAD_MS)
  }

  /**
   * Whether jobs are so long that it matters which worker has the next one. @param slots how many a worker runs at once
   */
  areLong(slots: number): boolean {
    return this.within(AHEAD_MS, slots) < 1
  }

  /**
   * How many jobs more than it runs a worker should have.
   *
   * @param slots how many it runs at once
   * @param isPlenty whether others will not want for jobs soon
   */
  ahead(slots: number, isPlenty: boolean): number {
    const short = Math.min(this.within(AHEAD_MS, slots), MOST_AHEAD, this.fitting(MOST_BYTES_AHEAD))
    const long = isPlenty && this.#mean <= LONGEST_AHEAD_MS ? 1 : 0
    return short > 0 ? short : long
  }

  /** How many jobs more than the workers have this master should hold. @param slots how many all of them run at once */
  inHand(slots: number): number {
    return Math.min(this.within(IN_HAND_MS, slots), MOST_IN_HAND, this.fitting(MOST_BYTES_IN_HAND))
  }

  private within(milliseconds: number, slots: number): number {
    return slots === 0 ? 0 : Math.floor((milliseconds * slots) / this.#mean)
  }

  private fitting(bytes: number): number {
    return Math.floor(bytes / Math.max(1, this.#bytes))
  }
}

function meanWith(value: number, mean: number): number {
  return Math.max(value, mean + WEIGHT * (value - mean))
}

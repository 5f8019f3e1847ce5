/**
 * All constants that were tuned for speed. A comment names the benchmark case that shows the effect, if there is one.
 * Limits that keep something safe stand where they are enforced.
 */

/** Milliseconds of work in front of the last job that a worker has: longer than a message takes. `drain-noop` */
export const PREFETCH_MS = 4

/** A worker has at most this many jobs more than it runs: what a recall may have to bring back. */
export const PREFETCH_MAX_JOBS = 64

/** Bytes of BSON that are prefetched to one worker at most: they travel in one message. */
export const PREFETCH_MAX_BYTES = 8 * 2 ** 20

/** A prefetched job starts within this many milliseconds, or is returned: those in front of it were not short. */
export const PREFETCHED_START_WITHIN_MS = 1000

/** Milliseconds of work that the master buffers: much longer than a claim takes, which is three commands. `drain-1ms` */
export const BUFFER_MS = 500

/** Two of the largest claims: while one is used up, the next is on its way. */
export const BUFFER_MAX_CLAIMS = 1000

/** Bytes of BSON that a master buffers at most: they are in the memory of the web process. */
export const BUFFER_MAX_BYTES = 64 * 2 ** 20

/** Twice `BUFFER_MS`: a buffer from which nothing was sent for this long is released to other masters. */
export const BUFFER_STALE_AFTER_MS = 1000

/** A larger claim would only take longer, and hold up those of other masters. */
export const MAX_CLAIM = 500

/** The weight of a new duration or size in its moving average. */
export const MEAN_WEIGHT = 0.25

/** Settlements in one write. A larger write would only take longer, and hold up other masters. */
export const MAX_WRITE = 500

/**
 * While jobs wait for a worker, a write of settlements begins at most this often, in milliseconds: a write for one costs
 * the database nearly as much as one for many. A master that crashes meanwhile runs again what it had not written.
 * `drain-30ms`
 */
export const WRITE_EVERY_MS = 50

/** A worker that runs one short job after the other reads its pipe at least this often, in milliseconds. */
export const MAX_TURN_MS = 5

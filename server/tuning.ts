/**
 * What was tuned for speed, in one place. Each comment says what is lost at either side, and which benchmark case shows
 * it. Limits that keep something safe stand where they are enforced.
 */

/** Milliseconds of work in front of the last job that a worker has: longer than a message takes. `drain-noop` */
export const PREFETCH_MS = 4

/** A worker has at most this many jobs more than it runs: what a recall may have to bring back. */
export const PREFETCH_MAX_JOBS = 64

/** Bytes of BSON: what a worker has travels in one message. */
export const PREFETCH_MAX_BYTES = 8 * 2 ** 20

/** A prefetched job starts within this many milliseconds, or is returned: those in front of it were not short. */
export const PREFETCHED_START_WITHIN_MS = 1000

/** Milliseconds of work that the master buffers: much longer than a claim takes, which is three commands. `drain-1ms` */
export const BUFFER_MS = 500

/** Two of the largest claims: while one is used up, the next is on its way. */
export const BUFFER_MAX_CLAIMS = 1000

/** Bytes of BSON: what the master buffers is in the memory of the web process. */
export const BUFFER_MAX_BYTES = 64 * 2 ** 20

/** Twice `BUFFER_MS`: a buffer from which nothing was sent for this long is released to other masters. */
export const BUFFER_STALE_AFTER_MS = 1000

/** A larger claim would only take longer, and hold up those of other masters. */
export const MAX_CLAIM = 500

/** Of each new duration or size, in its mean. */
export const MEAN_WEIGHT = 0.25

/** As for claims: a larger write would hold up others. */
export const MAX_WRITE = 500

/**
 * While jobs wait for a worker, a write of settlements begins at most this often, in milliseconds: a write for one costs
 * the database nearly as much as one for many. A master that crashes meanwhile runs again what it had not written.
 * `drain-30ms`
 */
export const WRITE_EVERY_MS = 50

/** A worker that runs one short job after the other reads its pipe at least this often, in milliseconds. */
export const MAX_TURN_MS = 5

/**
 * All constants that were tuned for speed. A comment names the benchmark case that shows the effect, if there is one.
 * Safety limits are defined where they are enforced.
 */

/**
 * Milliseconds of work that a worker has in front of the last job sent to it: more than a message takes. `drain-noop`
 */
export const PREFETCH_MS = 4

/** The most jobs that a worker has beyond those that it runs: a recall may have to bring all of them back. */
export const PREFETCH_MAX_JOBS = 64

/** The most bytes of BSON that are prefetched to one worker: they travel in one message. */
export const PREFETCH_MAX_BYTES = 8 * 2 ** 20

/** A prefetched job that does not start within this time is returned: the jobs in front of it were not short. */
export const PREFETCHED_START_WITHIN_MS = 1000

/** Milliseconds of work that the master buffers: much more than a claim takes, which is three commands. `drain-1ms` */
export const BUFFER_MS = 500

/** Twice `MAX_TASKS_PER_CLAIM`: the next claim is on its way while the tasks of the last one are sent to workers. */
export const BUFFER_MAX_CLAIMS = 1000

/** The most bytes of BSON that a master buffers: they are in the memory of the web process. */
export const BUFFER_MAX_BYTES = 64 * 2 ** 20

/** Twice `BUFFER_MS`: a buffer from which nothing was sent for this long is released to other masters. */
export const BUFFER_STALE_AFTER_MS = 1000

/** The most tasks in one claim. A larger claim would only take longer, and hold up other masters. */
export const MAX_TASKS_PER_CLAIM = 500

/** The weight of a new duration or size in its moving average. */
export const MEAN_WEIGHT = 0.25

/** The most settlements in one write. A larger write would only take longer, and hold up other masters. */
export const MAX_SETTLEMENTS_PER_WRITE = 500

/**
 * While jobs wait for a worker, at least this many milliseconds lie between the starts of two settlement writes: a
 * write of one settlement costs the database nearly as much as a write of many. If the master crashes meanwhile, the
 * jobs whose outcomes it had not written run again. `drain-30ms`
 */
export const WRITE_EVERY_MS = 50

/** A worker that runs short jobs one after another reads its pipe at least once in this many milliseconds. */
export const MAX_TURN_MS = 5

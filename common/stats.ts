/** What the application may know of the workers. */

/**
 * | state   | entered                                                   | left                              |
 * | ------- | --------------------------------------------------------- | --------------------------------- |
 * | booting | when it was forked                                        | when it reports that it is ready  |
 * | ready   | when it reports so, or is heard again after a silence     |                                   |
 * | silent  | when it did not start a job in time: it gets no more jobs | when it sends any message         |
 * | closing | when the master closes it, or kills it for a job          |                                   |
 * | gone    | when its process is gone and its pipe is read to the end  |                                   |
 */
export type WorkerState = 'booting' | 'ready' | 'silent' | 'closing' | 'gone'

/** What `cluster.stats()` says of a worker. */
export interface WorkerStats {
  readonly pid: number | undefined
  readonly port: number
  readonly state: WorkerState
  /** How many jobs it has, those included that it has not started. */
  readonly jobs: number
  /** How many of its jobs have an outcome. */
  readonly jobsDone: number
  /** Bytes of resident memory; undefined if the worker has not answered within half a second: it may be blocked. */
  readonly rss: number | undefined
  /** From 0 to 1: how busy its event loop was since the last `stats`, or since its start; undefined as `rss`. */
  readonly eventLoopUtilization: number | undefined
}

/** What a master and its workers do. */
export interface ClusterStats {
  readonly workers: readonly WorkerStats[]
  /** How many tasks this master has claimed and not sent to a worker. */
  readonly buffered: number
  /** The task types that are paused, as far as this master knows. */
  readonly paused: readonly string[]
}

/** How a worker exited: the payload of the event `workerExit`. */
export interface WorkerExit {
  /** Undefined if it could not be forked. */
  readonly pid: number | undefined
  readonly port: number
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** How many jobs it had. Their tasks are requeued, or have failed. */
  readonly jobs: number
}

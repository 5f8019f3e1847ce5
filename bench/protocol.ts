/** What the bench requests from the process of a subject, over the pipe between them. All times are milliseconds. */
import type { ClusterOptions } from 'meteor/nschwarz:cluster'

/** The settings of a subject's process, as JSON. */
export const SETTINGS_VARIABLE = 'CLUSTER_BENCH_SETTINGS'
/** Which module the host loads. */
export const MODULE_VARIABLE = 'CLUSTER_BENCH_MODULE'

export interface Settings {
  /** The URL of a database of its own. */
  readonly databaseUrl: string
  /** How many processes or threads run jobs. A subject that runs them in its own process says so. */
  readonly workers: number
  /** False: this process only adds tasks, which another process runs. */
  readonly runsJobs: boolean
  /** Measures less, and less exactly. */
  readonly quick: boolean
  /** The MongoDB driver reports its commands. Only for cases that count or time them, since it costs time. */
  readonly monitorsCommands: boolean
  /** Options of the cluster, besides the number of its workers. */
  readonly options: Omit<ClusterOptions, 'messageBroker'>
}

/** A job that does nothing, or one that keeps a cpu busy. Only this package's jobs return `resultBytes`. */
export type JobKind =
  { readonly name: 'noop' } | { readonly name: 'burn'; readonly iterations: number; readonly resultBytes?: number }

export interface Drain {
  readonly count: number
  readonly job: JobKind
  /** After this time the drain is stopped, and the remaining tasks are removed. */
  readonly limit: number
}

export interface Drained {
  /** How many were done in that time. */
  readonly jobs: number
  readonly ms: number
}

/** Bytes. */
export interface Memory {
  readonly heap: number
  readonly rss: number
}

/** What a subject can be asked to do; each offers the operations that make sense for it. */
export interface Operations {
  /** Afterwards the workers have booted, and their code is compiled. */
  warmUp(): Promise<void>
  /** Its settings, if they were chosen by measurement. */
  note(): Promise<string>
  /** Adds `count` tasks one after another. */
  addOne(count: number): Promise<number>
  /** Adds `count` tasks, `size` with each call. */
  addMany(count: number, size: number): Promise<number>
  /** Puts tasks into the queue while nothing runs them, then has them run. */
  drain(request: Drain): Promise<Drained>
  /**
   * Adds one task after another, with the queue idle in between. @returns the times from just before the call to the
   * start of the job
   */
  latency(samples: number): Promise<number[]>
  /** The same, but a job adds each task. */
  latencyWorkerAdded(samples: number): Promise<number[]>
  /** Runs one task after another, with the queue idle in between: the times until the result is known. */
  latencyRun(samples: number): Promise<number[]>
  /** Adds one task that measures its latency; another process runs it. */
  addProbe(): Promise<void>
  /** Gets ready to run what another process adds. */
  listen(): Promise<void>
  /** The latency of the next task that measures it. */
  nextLatency(): Promise<number>
  memoryDrain(count: number): Promise<Drained>
  memoryLatency(samples: number): Promise<number[]>
  /** How much memory grows while `count` tasks are held. */
  memoryOf(count: number): Promise<Memory>
  /** Adds tasks that are due in a year, with this many distinct priorities. */
  schedule(count: number, priorities: number): Promise<void>
  /** How long the database takes per claim, on average over `count` tasks. */
  claimCost(count: number): Promise<number>
  /** How long `count` jobs take in the process itself, one after another. */
  burnHere(count: number, iterations: number): Promise<number>
  /** Answers requests from now on. @returns the port */
  serveWeb(): Promise<number>
  /** Keeps the process itself busy for `ms`, with turns of its event loop in between. */
  burnInTurns(iterations: number, ms: number): Promise<void>
  /** The longest pause of its event loop within `ms`. */
  longestGap(ms: number): Promise<number>
  /** How many commands it sends to the database within `ms`. */
  countCommands(ms: number): Promise<number>
  /** From the fork of a worker until it runs its first job. */
  workerBoot(samples: number): Promise<number[]>
}

export type OperationName = keyof Operations

export interface Request {
  readonly id: number
  readonly operation: OperationName
  readonly args: readonly unknown[]
}

export type Answer =
  | { readonly ready: true }
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: string }
